import { useState } from "preact/hooks";
import { send, uploaded } from "../../api/client";
import { session } from "../../api/session";
import type { ProposalVersion, Work } from "../../api/types";
import { t } from "../../text";

type Tab = "adjustments" | "proposal" | "settlement" | "publication" | "pilot" | "drill";

/** A list that somebody typed, one a line. */
const lines = (text: string | undefined) =>
  (text ?? "")
    .split(/[\n;；]/)
    .map((line) => line.trim())
    .filter(Boolean);

/** What is asked before a work begins. */
export function WorkForm({ of, versions, begun }: { of: Tab; versions: ProposalVersion[]; begun: () => void }) {
  const said = t().works;
  const thisYear = new Date().getFullYear();
  const [fields, setFields] = useState<Record<string, string>>({
    year: String(of === "proposal" ? thisYear + 1 : of === "adjustments" ? thisYear : thisYear - 1),
    days: "30",
    persons: "3",
    by: of === "proposal" ? "function" : "unit",
  });
  const [table, setTable] = useState<File | null>(null);
  const [trouble, setTrouble] = useState("");
  const may = of !== "drill" || session.may("state.backup");
  const set = (name: string) => (event: { currentTarget: { value: string } }) =>
    setFields({ ...fields, [name]: event.currentTarget.value });
  const year = Number(fields.year);
  const attempt = async (work: () => Promise<unknown>) => {
    setTrouble("");
    try {
      await work();
      begun();
    } catch (error) {
      setTrouble((error as Error).message);
    }
  };
  const begin = () => {
    if (of === "settlement" && table) {
      const format = /\.(xlsx?)$/i.exec(table.name)?.[1]?.toLowerCase() ?? "csv";
      return uploaded<Work>("/works/against", { year, by: fields.by, format }, table);
    }
    const body: Record<Tab, Record<string, unknown>> = {
      adjustments: {
        year,
        ...(fields.line ? { line: fields.line } : {}),
        ...(fields.unit ? { unit: fields.unit } : {}),
      },
      proposal: { year, by: fields.by, drivers: lines(fields.drivers), caps: lines(fields.caps) },
      settlement: { year, by: fields.by },
      publication: { year, persons: Number(fields.persons), ...(fields.least ? { least: fields.least } : {}) },
      pilot: { days: Number(fields.days) },
      drill: {},
    };
    return send<Work>("POST", "/works", { kind: of, ...body[of] });
  };
  const hasYear = of !== "pilot" && of !== "drill";
  const groups =
    of === "proposal" ? (["function", "class", "unit"] as const) : (["unit", "function", "class", "line"] as const);
  return (
    <>
      {may && (
        <form
          class="form"
          onSubmit={(event) => {
            event.preventDefault();
            void attempt(begin);
          }}
        >
          {hasYear && (
            <label>
              <span>{said.year}</span>
              <input name="year" inputMode="numeric" required value={fields.year} onInput={set("year")} />
            </label>
          )}
          {(of === "proposal" || of === "settlement") && (
            <label>
              <span>{said.by}</span>
              <select name="by" value={fields.by} onChange={set("by")}>
                {groups.map((group) => (
                  <option key={group} value={group}>
                    {said.group[group]}
                  </option>
                ))}
              </select>
            </label>
          )}
          {of === "adjustments" && (
            <>
              <label>
                <span>{said.line}</span>
                <input name="line" onInput={set("line")} />
              </label>
              <label>
                <span>{said.unit}</span>
                <input name="unit" onInput={set("unit")} />
              </label>
            </>
          )}
          {of === "proposal" && (
            <>
              <label class="is-wide">
                <span>{said.drivers}</span>
                <textarea name="drivers" rows={2} placeholder="gdp=5.2%:205" onInput={set("drivers")} />
              </label>
              <label class="is-wide">
                <span>{said.caps}</span>
                <textarea name="caps" rows={2} placeholder="205=400000000" onInput={set("caps")} />
              </label>
            </>
          )}
          {of === "settlement" && (
            <label>
              <span>{said.against}</span>
              <input
                name="against"
                type="file"
                accept=".csv,.xlsx,.xls"
                onChange={(event) => setTable(event.currentTarget.files?.[0] ?? null)}
              />
            </label>
          )}
          {of === "publication" && (
            <>
              <label>
                <span>{said.persons}</span>
                <input name="persons" inputMode="numeric" value={fields.persons} onInput={set("persons")} />
              </label>
              <label>
                <span>{said.least}</span>
                <input name="least" inputMode="decimal" onInput={set("least")} />
              </label>
            </>
          )}
          {of === "pilot" && (
            <label>
              <span>{said.days}</span>
              <input name="days" inputMode="numeric" value={fields.days} onInput={set("days")} />
            </label>
          )}
          <div class="form-foot">
            {trouble && (
              <span class="trouble" role="alert">
                {trouble}
              </span>
            )}
            <button type="submit" class="button is-main">
              {said.begin[of]}
            </button>
          </div>
        </form>
      )}
      {of === "proposal" && <Compare versions={versions} attempt={attempt} />}
    </>
  );
}

/** Two versions that are compared. */
function Compare({
  versions,
  attempt,
}: {
  versions: ProposalVersion[];
  attempt: (work: () => Promise<unknown>) => Promise<void>;
}) {
  const said = t().works;
  const years = [...new Set(versions.map((one) => one.fiscal_year))];
  const [year, setYear] = useState(years[0]);
  const own = versions.filter((one) => one.fiscal_year === (year ?? years[0])).map((one) => one.version);
  const [chosen, setChosen] = useState<{ old?: number; new?: number }>({});
  if (versions.length < 2) return null;
  const older = chosen.old ?? own[1] ?? own[0];
  const newer = chosen.new ?? own[0];
  const pick = (name: "old" | "new", value: number | undefined) => (
    <label>
      <span>{name === "old" ? said.old : said.newer}</span>
      <select
        name={name}
        value={value}
        onChange={(event) => setChosen({ ...chosen, [name]: Number(event.currentTarget.value) })}
      >
        {own.map((version) => (
          <option key={version} value={version}>
            v{version}
          </option>
        ))}
      </select>
    </label>
  );
  return (
    <form
      class="form"
      onSubmit={(event) => {
        event.preventDefault();
        void attempt(() =>
          send("POST", "/works", { kind: "comparison", year: year ?? years[0], old: older, new: newer }),
        );
      }}
    >
      <label>
        <span>{said.year}</span>
        <select name="of-year" value={year} onChange={(event) => setYear(Number(event.currentTarget.value))}>
          {years.map((one) => (
            <option key={one} value={one}>
              {one}
            </option>
          ))}
        </select>
      </label>
      {pick("old", older)}
      {pick("new", newer)}
      <div class="form-foot">
        <button type="submit" class="button">
          {said.compare}
        </button>
      </div>
    </form>
  );
}
