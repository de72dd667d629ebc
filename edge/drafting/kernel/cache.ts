/**
 * The KV cache: int8 in pages of PAGE positions, handed out by the host to sequences that share one pool.
 *
 * A page holds one panel per layer: the keys of all KV heads, their values, then a scale per head and position for
 * keys and for values. Attention reads a panel from end to end.
 * Keys and values lie in cells of four positions so that one dot instruction serves
 *   keys: four positions by four dimensions. Byte (0..127, 64 stands for zero): 4 × (dim & ~3) + 4 × (position & 3) + (dim & 3);
 *   values: four dimensions by four positions. Signed byte: 4 × dim + (position & 3).
 */
import { largestLane, roundedEight } from "./lanes";
import { Model, PAGE } from "./model";

/** Byte that stands for zero in a key. */
export const KEY_ZERO: i32 = 64;

/** Bytes of one head's keys, or values, in a panel. */
@inline
function headPanelBytes(model: Model): usize {
  return <usize>(PAGE * model.headDim);
}
@inline
function panelBytes(model: Model): usize {
  return <usize>model.kvHeads * 2 * (headPanelBytes(model) + (<usize>PAGE << 2));
}
@inline
export function pageBytes(model: Model): usize {
  return <usize>model.layers * panelBytes(model);
}
/** The layer's panel in a page of the current sequence. */
@inline
export function panelAt(model: Model, page: i32, layer: i32): usize {
  return <usize>load<u32>(model.pages + (<usize>page << 2)) + <usize>layer * panelBytes(model);
}
@inline
export function keysOf(model: Model, panel: usize, kvHead: i32): usize {
  return panel + <usize>kvHead * headPanelBytes(model);
}
@inline
export function valuesOf(model: Model, panel: usize, kvHead: i32): usize {
  return panel + <usize>(model.kvHeads + kvHead) * headPanelBytes(model);
}
@inline
export function keyScalesOf(model: Model, panel: usize, kvHead: i32): usize {
  return panel + <usize>(2 * model.kvHeads) * headPanelBytes(model) + (<usize>(kvHead * PAGE) << 2);
}
@inline
export function valueScalesOf(model: Model, panel: usize, kvHead: i32): usize {
  return keyScalesOf(model, panel, model.kvHeads + kvHead);
}

/** Writes one position's keys and values (f32[kvHeads][headDim] each) into the cache. */
export function storeKeysAndValues(model: Model, layer: i32, position: i32, keys: usize, values: usize): void {
  const headDim = model.headDim;
  const bytes = model.headBytes;
  const slot = <usize>(position & (PAGE - 1));
  const cell = (slot & ~3) * <usize>headDim;
  const column = slot & 3;
  const panel = panelAt(model, position / PAGE, layer);
  for (let h = 0; h < model.kvHeads; h++) {
    const from = <usize>(h * headDim) << 2;
    store<f32>(keyScalesOf(model, panel, h) + (slot << 2), quantiseHead(keys + from, headDim, 63, KEY_ZERO, bytes));
    let to = keysOf(model, panel, h) + cell + (column << 2);
    for (let d: usize = 0; d < <usize>headDim; d += 4) {
      store<u32>(to + (d << 2), load<u32>(bytes + d));
    }

    store<f32>(valueScalesOf(model, panel, h) + (slot << 2), quantiseHead(values + from, headDim, 127, 0, bytes));
    to = valuesOf(model, panel, h) + cell + column;
    for (let d: usize = 0; d < <usize>headDim; d++) store<u8>(to + (d << 2), load<u8>(bytes + d));
  }
}

/** Rounds one head's floats to bytes zero − limit .. zero + limit at `to`; returns the scale. */
export function quantiseHead(from: usize, headDim: i32, limit: f32, zero: i32, to: usize): f32 {
  const floatsBytes = <usize>headDim << 2;
  let largest4 = f32x4.splat(0);
  for (let i: usize = 0; i < floatsBytes; i += 16) largest4 = f32x4.pmax(largest4, f32x4.abs(v128.load(from + i)));
  const largest = largestLane(largest4);
  const factor = f32x4.splat(largest > 0 ? limit / largest : 0);
  for (let i: usize = 0; i < <usize>headDim; i += 8) {
    const eight = roundedEight(from + (i << 2), factor);
    v128.store64_lane(to + i, i8x16.add(i8x16.narrow_i16x8_s(eight, eight), i8x16.splat(<i8>zero)), 0);
  }
  return largest / limit;
}
