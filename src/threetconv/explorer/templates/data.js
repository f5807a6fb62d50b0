// The data blocks of the page: opened when they are first asked for.

const TYPES = { f: Float32Array, u: Uint8Array };
const WIDTHS = { f: 4, u: 1 };

export async function decode(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i += 1) bytes[i] = binary.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const buffer = await new Response(stream).arrayBuffer();
  const length = new DataView(buffer).getUint32(0, true);
  const words = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const start = 4 + Math.ceil(length / 4) * 4;
  const arrays = {};
  for (const [name, { type, shape, offset }] of Object.entries(words.arrays)) {
    const size = shape.reduce((a, b) => a * b, 1);
    arrays[name] = { shape, values: new TYPES[type](buffer, start + offset, size), bytes: WIDTHS[type] };
  }
  return { ...words, arrays };
}

export class Run {
  constructor(head, block, images) {
    Object.assign(this, head, block);
    this.files = images.files;
    this.layerOf = new Map();
    let first = 0;
    this.layers.forEach((layer, position) => {
      Object.assign(layer, { position, first });
      first += layer.channels;
      this.layerOf.set(layer.name, layer);
    });
    this.total = first;
    this.moving = this.moves && new Set(this.moves); // channels beyond noise, where that is known
    this.pictures = new Map();
    for (const row of images.rows) {
      const id = this.id(row.layer, row.channel);
      if (!this.pictures.has(id)) this.pictures.set(id, []);
      this.pictures.get(id).push(row);
    }
    this.flagged = new Map();
    for (const [id, method, randomised] of this.sanity) {
      const key = `${id} ${method}`;
      this.flagged.set(key, [...(this.flagged.get(key) || []), randomised]);
    }
    this.ranks = new Map();
    this.ablation = Math.max(0, this.ablations.indexOf("identity"));
  }

  id(layer, channel) { return this.layerOf.get(layer).first + channel; }

  layerAt(id) {
    let low = 0, high = this.layers.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.layers[middle].first <= id) low = middle; else high = middle - 1;
    }
    return this.layers[low];
  }

  get transforms() { return this.convolution === "3t"; }

  number(name, id) { return this.arrays[name] ? this.arrays[name].values[id] : NaN; }

  sentence(id) { return this.sentences[this.of ? this.of[id] : -1] || ""; }

  // Raw s, r, tx, ty of each transition of a channel, or [] when there are none.
  steps(id) {
    const layer = this.layerAt(id), array = this.arrays[`parameters/${layer.name}`];
    if (!array) return [];
    const [, times, channels] = array.shape, c = id - layer.first;
    const steps = [];
    for (let t = 0; t < times; t += 1) {
      steps.push([0, 1, 2, 3].map((i) => array.values[(i * times + t) * channels + c]));
    }
    return steps.every((step) => step.every(Number.isFinite)) ? steps : [];
  }

  // Mean response to gratings by direction, as the layer is and with its transforms at the identity
  // (null where it has none); or null where nothing was measured or answered.
  tuning(id) {
    const array = this.arrays.tuning;
    if (!array) return null;
    const [, count, total] = array.shape;
    const [intact, identity] = [0, 1].map((kind) => this.directions.map((_, i) => array.values[(kind * count + i) * total + id]));
    if (!intact.every(Number.isFinite) || !intact.some((v) => v > 0)) return null;
    return { directions: this.directions, intact, identity: identity.every(Number.isFinite) ? identity : null };
  }

  // Drop of log p for an ablation and a label ("" is the first: all clips).
  drop(ablation, label, id) {
    const array = this.arrays.drops;
    return array ? array.values[(ablation * this.labels.length + label) * this.total + id] : NaN;
  }

  layerDrop(ablation, label, layer) {
    const array = this.arrays.layer_drops;
    if (!array) return NaN;
    return array.values[(ablation * this.labels.length + label) * this.layers.length + layer.position];
  }

  // Values to sort by: "displacement", or "drop 3" for the label of that number.
  sortValue(order) {
    if (order === "displacement") return (id) => this.number("displacement", id);
    const label = Number(order.split(" ")[1]);
    return (id) => this.drop(this.ablation, label, id);
  }

  // Channels from the largest value to the smallest, those without one left out.
  ranking(order) {
    if (!this.ranks.has(order)) {
      const value = this.sortValue(order);
      const ids = Array.from({ length: this.total }, (_, id) => id).filter((id) => !Number.isNaN(value(id)));
      ids.sort((a, b) => value(b) - value(a) || a - b);
      const place = new Map(ids.map((id, i) => [id, i + 1]));
      this.ranks.set(order, { ids, place });
    }
    return this.ranks.get(order);
  }

  // The slices of a first-layer filter: {depth, height, width, rgb(slice)}, or null.
  filter(id) {
    const array = this.arrays.filters, layer = this.layers[0];
    if (!array || this.layerAt(id) !== layer || id >= array.shape[0]) return null;
    const [, depth, height, width] = array.shape, size = height * width * 3;
    return {
      depth, height, width,
      rgb: (slice) => array.values.subarray((id * depth + slice) * size, (id * depth + slice + 1) * size),
    };
  }
}

const opened = new Map();

export function open(index, i) {
  if (!opened.has(i)) {
    const text = document.getElementById(`data-${i}`).textContent;
    const images = JSON.parse(document.getElementById(`images-${i}`).textContent);
    opened.set(i, decode(text).then((block) => new Run(index.variants[i], block, images)));
  }
  return opened.get(i);
}
