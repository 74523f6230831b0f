// Sums as areas: each tile is as large as its sum, and filled from below as far as it is executed. The table beside it has
// the same data.
import { go } from "../router";
import { useWidth } from "./width";

export interface Tile {
  id: string;
  title: string;
  /** How large it is, for drawing only. */
  size: number;
  /** How far it is filled, from 0 to 1. */
  filled: number;
  isBad: boolean;
  /** What is said of it in one line. */
  note: string;
  /** All of it in words. */
  said: string;
  /** Where it leads. */
  to: string | null;
}

interface Box {
  x: number;
  y: number;
  w: number;
  h: number;
}

const GAP = 2;

/** Boxes as square as can be (Bruls, Huizing and van Wijk 2000); sizes are from the largest. */
export function squarified(sizes: number[], { x, y, w, h }: Box): Box[] {
  const sum = sizes.reduce((all, size) => all + size, 0);
  const scale = sum > 0 ? (w * h) / sum : 0;
  const areas = sizes.map((size) => size * scale);
  const boxes: Box[] = [];
  let free = { x, y, w, h };
  for (let start = 0; start < areas.length;) {
    const short = Math.min(free.w, free.h);
    let end = start + 1;
    while (end < areas.length && worst(areas.slice(start, end + 1), short) <= worst(areas.slice(start, end), short))
      end += 1;
    const row = areas.slice(start, end);
    const depth = short > 0 ? row.reduce((all, area) => all + area, 0) / short : 0;
    let along = 0;
    for (const area of row) {
      const length = depth > 0 ? area / depth : 0;
      boxes.push(
        free.w >= free.h
          ? { x: free.x, y: free.y + along, w: depth, h: length }
          : { x: free.x + along, y: free.y, w: length, h: depth },
      );
      along += length;
    }
    free =
      free.w >= free.h
        ? { ...free, x: free.x + depth, w: free.w - depth }
        : { ...free, y: free.y + depth, h: free.h - depth };
    start = end;
  }
  return boxes;
}

/** How far from a square the worst box of a row is. */
function worst(row: number[], short: number): number {
  const sum = row.reduce((all, area) => all + area, 0);
  const [least, most] = [Math.min(...row), Math.max(...row)];
  return Math.max((short * short * most) / (sum * sum), (sum * sum) / (short * short * least));
}

/** Signs that fit into a width; those of Chinese take twice the room. */
function fitting(text: string, width: number): string {
  let room = width / 6.4;
  let kept = "";
  for (const sign of text) {
    room -= sign.charCodeAt(0) > 0x2e80 ? 2 : 1;
    if (room < 0) return kept.length > 1 ? `${kept.slice(0, -1)}…` : "";
    kept += sign;
  }
  return kept;
}

export function Treemap({ label, tiles, height = 360 }: { label: string; tiles: Tile[]; height?: number }) {
  const [place, width] = useWidth<HTMLDivElement>();
  const shown = tiles.filter((tile) => tile.size > 0).sort((a, b) => b.size - a.size);
  const boxes = squarified(
    shown.map((tile) => tile.size),
    { x: 0, y: 0, w: width, h: height },
  );
  return (
    <div ref={place} class="treemap">
      {width > 0 && (
        <svg width={width} height={height} role="group" aria-label={label}>
          {shown.map((tile, at) => (
            <TileBox key={tile.id} of={tile} box={boxes[at]!} />
          ))}
        </svg>
      )}
    </div>
  );
}

function TileBox({ of, box }: { of: Tile; box: Box }) {
  const [w, h] = [Math.max(0, box.w - GAP), Math.max(0, box.h - GAP)];
  const level = h * Math.min(1, Math.max(0, of.filled));
  const title = h >= 20 ? fitting(of.title, w - 12) : "";
  const note = h >= 38 ? fitting(of.note, w - 12) : "";
  const boxes = (
    <>
      <title>{of.said}</title>
      <rect class={of.isBad ? "tile is-bad" : "tile"} x={box.x} y={box.y} width={w} height={h} />
      <rect class="tile-level" x={box.x} y={box.y + h - level} width={w} height={level} />
    </>
  );
  const { to } = of;
  const follow = (event: MouseEvent) => {
    if (to === null || event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    go(to);
  };
  return (
    <>
      {to === null ? (
        <g>{boxes}</g>
      ) : (
        <a href={to} aria-label={of.said} onClick={follow}>
          {boxes}
        </a>
      )}
      <g aria-hidden="true">
        <text x={box.x + 6} y={box.y + 16}>
          {title}
        </text>
        <text class="tile-note" x={box.x + 6} y={box.y + 32}>
          {note}
        </text>
      </g>
    </>
  );
}
