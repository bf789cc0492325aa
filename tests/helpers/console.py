"""The console command, run in this process."""

from colorjax import cli

LEGIBLE = 300  # characters: a message longer than that is a dump


def run(capsys, *arguments):
    """(exit code, stdout, stderr) of the command."""
    capsys.readouterr()
    code = cli.main([str(argument) for argument in arguments])
    return code, *capsys.readouterr()


def check_failed_before_the_work(outcome, *words):
    code, out, err = outcome
    assert code == 2
    assert out == ""
    assert err.startswith("colorjax: ")
    assert err.count("\n") == 1
    assert len(err) < LEGIBLE
    for word in words:
        assert str(word) in err
