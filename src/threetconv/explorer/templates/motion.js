// What the transforms of a channel add up to: layer/motion.py and layer/units.py, in the page's
// language. A test holds the two together.
//
// A step takes content at c to R(r)^T c / s - t on the kernel's grid: x right, y down, -1 to 1. Maps
// are similarities, kept as [a, b, x, y]: (p, q) goes to (a p + b q + x, -b p + a q + y).

export const IDENTITY = [1, 0, 0, 0];

// One step, or a part of it (0 to 1), exaggerated or not; s, r, tx, ty as the layer stores them.
export function contentStep([s, r, tx, ty], part = 1, times = 1) {
  const half = s < 0 ? (r >= 0 ? Math.PI : -Math.PI) : 0; // a negative scale is a half turn
  const growth = Math.abs(s) ** (-part * times);
  const angle = part * (r * times - half);
  return [growth * Math.cos(angle), growth * Math.sin(angle), -tx * part * times, -ty * part * times];
}

// First `old`, then `step`.
export function then([a, b, x, y], step) {
  const [c, d, u, v] = step;
  return [c * a - d * b, c * b + d * a, c * x + d * y + u, -d * x + c * y + v];
}

// Where content is after time t (0 to the number of steps, fractions too).
export function contentMap(steps, t, times = 1) {
  let map = IDENTITY;
  for (let i = 0; i < steps.length && t > i; i += 1) {
    map = then(map, contentStep(steps[i], Math.min(1, t - i), times));
  }
  return map;
}

// Cumulative zoom (factor), turn (degrees clockwise) and path of the centre (kernel pixels, right and
// up) after 0, 1, ... steps.
export function trajectory(steps, [height, width]) {
  let zoom = 1, turn = 0, map = IDENTITY;
  const path = { zoom: [1], turn: [0], right: [0], up: [0] };
  for (const step of steps) {
    const [s, r] = step;
    zoom /= Math.abs(s);
    turn += -r + (s < 0 ? (r >= 0 ? Math.PI : -Math.PI) : 0);
    map = then(map, contentStep(step));
    path.zoom.push(zoom);
    path.turn.push(turn * 180 / Math.PI);
    path.right.push(map[2] / 2 * (width - 1));
    path.up.push(-map[3] / 2 * (height - 1));
  }
  return path;
}

// One transition in units that a person can read.
export function readable([s, r, tx, ty], [height, width], jump) {
  const right = -0.5 * tx * (width - 1), up = 0.5 * ty * (height - 1);
  return {
    zoom: 1 / s, turn: -r * 180 / Math.PI, right, up,
    inputRight: jump ? right * jump : NaN, inputUp: jump ? up * jump : NaN,
  };
}
