// A curve over time, drawn by uPlot. The table under it has the same data.
import { useEffect, useRef } from "preact/hooks";
import type uPlotType from "uplot";
import { settings } from "../settings";

export interface Series {
  name: string;
  /** Whole yuan, for drawing only. */
  values: (number | null)[];
  kind: "executed" | "plan" | "total" | "calendar" | "forecast" | "high" | "low";
}

const HEIGHT = 240;

const colour = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** uPlot formats numbers in the browser's language as it is loaded, and fails where that is none. */
function speakable(): void {
  try {
    new Intl.NumberFormat(navigator.language);
  } catch {
    Object.defineProperty(navigator, "language", { value: "zh-CN", configurable: true });
  }
}

/** What goes evenly from one point to the next; everything else stays until it changes. */
const isStraight = (kind: Series["kind"]) => ["calendar", "forecast", "high", "low"].includes(kind);

const DAY = 86_400;

/** What stands under the axis: days, and where they are less apart than a day the hours, with the day where it begins. */
function moments(splits: number[]): string[] {
  const texts = splits.map((at) => new Date(at * 1_000).toISOString());
  const day = (text: string) => text.slice(5, 10);
  if (splits.length > 1 && splits[1]! - splits[0]! >= DAY) return texts.map(day);
  return texts.map((text, i) => {
    const time = text.slice(11, 16);
    const isNew = i === 0 || day(text) !== day(texts[i - 1]!);
    return isNew ? (time === "00:00" ? day(text) : `${day(text)} ${time}`) : time;
  });
}

/** `times` are seconds of the clock there, as if it were UTC. */
export function Curve({
  label,
  time,
  times,
  series,
}: {
  label: string;
  time: string;
  times: number[];
  series: Series[];
}) {
  const place = useRef<HTMLDivElement>(null);
  const { language, theme, money } = settings;
  useEffect(() => {
    let plot: uPlotType | undefined;
    let watch: ResizeObserver | undefined;
    let isGone = false;
    void draw();
    async function draw() {
      speakable();
      const { default: uPlot } = await import("./curves");
      const root = place.current;
      if (isGone || !root) return;
      const divisor = money.peek() === "wan" ? 10_000 : 1;
      const format = (value: number | null) =>
        value === null
          ? ""
          : (value / divisor).toLocaleString("en-US", { maximumFractionDigits: divisor === 1 ? 0 : 2 });
      const strokes = {
        executed: "--accent",
        plan: "--ink",
        total: "--ink-3",
        calendar: "--ink-3",
        forecast: "--accent",
        high: "--accent-line",
        low: "--accent-line",
      } as const;
      const [high, low] = (["high", "low"] as const).map((of) => series.findIndex(({ kind }) => kind === of) + 1);
      const axis = {
        stroke: colour("--ink-3"),
        grid: { stroke: colour("--line-2"), width: 1 },
        ticks: { show: false },
        font: "11px sans-serif",
      };
      plot = new uPlot(
        {
          width: root.clientWidth,
          height: HEIGHT,
          tzDate: (at) => uPlot.tzDate(new Date(at * 1_000), "UTC"),
          cursor: { y: false, points: { size: 6 } },
          legend: { live: true },
          scales: { x: { time: true }, y: { range: (_, low, high) => [Math.min(0, low), high > 0 ? high * 1.05 : 1] } },
          axes: [
            { ...axis, values: (_, splits) => moments(splits) },
            { ...axis, size: 84, values: (_, splits) => splits.map(format) },
          ],
          // Eight of ten years end within it.
          bands: high && low ? [{ series: [high, low], fill: colour("--accent-soft") }] : [],
          series: [
            {
              label: time,
              value: (_, at) => (at === null ? "" : new Date(at * 1_000).toISOString().slice(0, 16).replace("T", " ")),
            },
            ...series.map(({ name, kind }) => ({
              label: name,
              stroke: colour(strokes[kind]),
              width: kind === "executed" ? 2 : 1,
              dash: kind === "calendar" ? [4, 4] : kind === "forecast" ? [8, 4] : [],
              points: { show: false },
              paths: isStraight(kind) ? uPlot.paths.linear!() : uPlot.paths.stepped!({ align: 1 }),
              value: (_: uPlotType, value: number | null) => format(value),
            })),
          ],
        },
        [times, ...series.map(({ values }) => values)],
        root,
      );
      watch = new ResizeObserver(() => plot?.setSize({ width: root.clientWidth, height: HEIGHT }));
      watch.observe(root);
    }
    return () => {
      isGone = true;
      watch?.disconnect();
      plot?.destroy();
    };
  }, [times, series, language.value, theme.value, money.value]);
  return <div ref={place} class="curve" role="img" aria-label={label} />;
}
