// sRGB (0..255) and CIELAB (D65), as colorjax/color.py has them.

const WHITE = [0.95047, 1, 1.08883];
const TO_XYZ = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]];
const TO_RGB = [[3.2404542, -1.5371385, -0.4985314], [-0.969266, 1.8760108, 0.041556], [0.0556434, -0.2040259, 1.0572252]];
const times = (matrix, v) => matrix.map((row) => row[0] * v[0] + row[1] * v[1] + row[2] * v[2]);
const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
const encoded = (c) => (c <= 0.0031308 ? 12.92 * c : 1.055 * c ** (1 / 2.4) - 0.055);
const f = (t) => (t > 216 / 24389 ? Math.cbrt(t) : ((24389 / 27) * t + 16) / 116);
const inverse = (u) => (u > 6 / 29 ? u ** 3 : (116 * u - 16) / (24389 / 27));

export function toLab(rgb) {
  const [x, y, z] = times(TO_XYZ, rgb.map((c) => linear(c / 255))).map((c, i) => f(c / WHITE[i]));
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}

/** The sRGB colour, or null where there is none. */
export function toRgb([l, a, b]) {
  const y = (l + 16) / 116;
  const xyz = [y + a / 500, y, y - b / 200].map((u, i) => WHITE[i] * inverse(u));
  const rgb = times(TO_RGB, xyz);
  if (rgb.some((c) => c < -0.002 || c > 1.002)) return null;
  return rgb.map((c) => Math.round(255 * encoded(Math.min(1, Math.max(0, c)))));
}

export const toCode = (rgb) => `#${rgb.map((c) => c.toString(16).padStart(2, "0")).join("")}`;
export const fromCode = (code) => [1, 3, 5].map((at) => parseInt(code.slice(at, at + 2), 16));

/** How far two colours in Lab are from each other: Delta E of 1976. */
export const distance = (one, other) => Math.hypot(...one.map((value, i) => value - other[i]));

/** The code that somebody means by rgb or rrggbb, with # or without, or by a name that CSS knows, as "sienna" or "dark blue"; null
 *  where it is none. */
export function readCode(text) {
  const digits = /^#?((?:[0-9a-f]{3}){1,2})$/.exec(text.trim().toLowerCase())?.[1];
  if (!digits) return named(text.toLowerCase().replace(/\s/g, ""));
  return `#${digits.length === 3 ? digits.replace(/./g, "$&$&") : digits}`;
}

function named(name) {
  if (!/^[a-z]+$/.test(name) || name === "currentcolor") return null;
  const paper = document.createElement("canvas").getContext("2d");
  const [one, other] = ["#000001", "#000002"].map((before) => {
    paper.fillStyle = before; // it stays where the name is none
    paper.fillStyle = name;
    return paper.fillStyle;
  });
  return one === other && one.startsWith("#") ? one : null;
}
