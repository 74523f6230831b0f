// Money against results: a point for each, four corners that say what they mean. The table beside it has the same data.
import { percent } from "../format/money";

interface Point {
  id: string;
  x: number;
  y: number;
  title: string;
}

const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP] = [720, 306, 64, 34, 8];
const MAX = 1.5;

/** `corners`: top left, top right, bottom left, bottom right. */
export function Quadrant({
  label,
  points,
  corners,
  x,
  y,
}: {
  label: string;
  points: Point[];
  corners: string[];
  x: string;
  y: string;
}) {
  const across = (share: number) => LEFT + (Math.min(MAX, Math.max(0, share)) / MAX) * (WIDTH - LEFT - 28);
  const up = (share: number) => HEIGHT - BOTTOM - (Math.min(MAX, Math.max(0, share)) / MAX) * (HEIGHT - BOTTOM - TOP);
  const ticks = [0, 0.5, 1, 1.5];
  return (
    <svg class="quadrant" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={label}>
      {ticks.map((tick) => (
        <g key={tick}>
          <line class={tick === 1 ? "axis is-whole" : "axis"} x1={across(tick)} x2={across(tick)} y1={TOP} y2={up(0)} />
          <line class={tick === 1 ? "axis is-whole" : "axis"} x1={LEFT} x2={across(MAX)} y1={up(tick)} y2={up(tick)} />
          <text class="tick" x={across(tick)} y={HEIGHT - 12} text-anchor="middle">
            {percent(tick).replace(".0", "")}
          </text>
          <text class="tick" x={LEFT - 6} y={up(tick) + 4} text-anchor="end">
            {percent(tick).replace(".0", "")}
          </text>
        </g>
      ))}
      <text class="corner" x={LEFT + 8} y={TOP + 16}>
        {corners[0]}
      </text>
      <text class="corner" x={across(MAX) - 8} y={TOP + 16} text-anchor="end">
        {corners[1]}
      </text>
      <text class="corner" x={LEFT + 8} y={up(0) - 8}>
        {corners[2]}
      </text>
      <text class="corner" x={across(MAX) - 8} y={up(0) - 8} text-anchor="end">
        {corners[3]}
      </text>
      <text class="tick axis-name" x={across(MAX)} y={HEIGHT - 1} text-anchor="end">
        {x}
      </text>
      <text class="tick axis-name" x={LEFT + 4} y={HEIGHT - 1}>
        {y} ↑
      </text>
      {points.map((point) => (
        <circle
          key={point.id}
          class={point.x > 1 && point.y < 1 ? "point is-bad" : "point"}
          cx={across(point.x)}
          cy={up(point.y)}
          r={4}
        >
          <title>{`${point.title} · ${x} ${percent(point.x)} · ${y} ${percent(point.y)}`}</title>
        </circle>
      ))}
    </svg>
  );
}
