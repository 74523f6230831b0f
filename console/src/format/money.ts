// Money is exact: text with two decimals on the wire, whole cents as BigInt here, never a float.

const grouped = (digits: string): string => digits.replace(/\B(?=(\d{3})+$)/g, ",");

/** Whole cents of a decimal text; null if it is none. */
export function cents(text: string | null | undefined): bigint | null {
  const parts = /^(-?)(\d+)(?:\.(\d{1,2})0*)?$/.exec(text ?? "");
  if (!parts) return null;
  const [, sign, whole, rest = ""] = parts;
  const value = BigInt(whole!) * 100n + BigInt(rest.padEnd(2, "0"));
  return sign ? -value : value;
}

const decimals = (value: bigint): string => {
  const sign = value < 0n ? "-" : "";
  const digits = (value < 0n ? -value : value).toString().padStart(3, "0");
  return `${sign}${grouped(digits.slice(0, -2))}.${digits.slice(-2)}`;
};

/** `1,234.56`, in yuan or in ten thousands (rounded half away from zero). */
export function money(value: bigint | string | null | undefined, unit: "yuan" | "wan"): string {
  const exact = typeof value === "bigint" ? value : cents(value);
  if (exact === null) return typeof value === "string" ? value : "—";
  if (unit === "yuan") return decimals(exact);
  const half = exact < 0n ? -5_000n : 5_000n;
  return decimals((exact + half) / 10_000n);
}

/** How much a part is of a whole, from 0 to at most `limit`, for drawing only. */
export function share(part: bigint, whole: bigint, limit = 1): number {
  if (whole <= 0n) return part > 0n ? limit : 0;
  const ratio = Number((part * 1_000_000n) / whole) / 1_000_000;
  return Math.min(limit, Math.max(0, ratio));
}

/** A ratio as text (`"0.8399"`) as a percentage with one decimal. */
export function percent(ratio: string | number | null | undefined): string {
  if (ratio === null || ratio === undefined || ratio === "") return "—";
  const value = Number(ratio) * 100;
  return Number.isFinite(value) ? `${value.toFixed(1)}%` : "—";
}

/** A count with separators. */
export const count = (n: number): string => grouped(String(Math.trunc(n)));
