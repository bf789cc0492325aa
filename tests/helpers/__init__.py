"""What tests of several wings share."""

from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
SHARED = ROOT.parent / "shared"  # photographs and weights for development; tests that use them are skipped without
