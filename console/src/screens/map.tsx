import { useEffect, useRef, useState } from "preact/hooks";
import { at, upload } from "../api/client";
import { session } from "../api/session";
import type { MapTrial } from "../api/types";
import { columnName, isMoney, shown } from "../format/values";
import { query } from "../router";
import { t } from "../text";
import { Empty, Failed, Heading, Loading, Panel } from "../ui/parts";
import { Table } from "../ui/table";
import { Whole } from "../ui/whole";

/** Columns of the first events that are shown; the others stand in the map. */
const SHOWN = ["event_id", "occurred_at", "type", "budget_line_id", "unit_code", "payee_name", "amount"];

/**
 * A map for a file that no map reads: what its columns seem to be, corrected here, the first rows by it, and the text that goes
 * into the configuration. The file waits in a directory, or is chosen here.
 */
export function MapEditor() {
  const said = t().map;
  const [source, file] = [query.value.get("source"), query.value.get("file")];
  const [chosen, setChosen] = useState<File | null>(null);
  const [set, setSet] = useState<Record<string, string>>({});
  const [told, setTold] = useState<MapTrial | null>(null);
  const [error, setError] = useState<Error | null>(null);
  const [busy, setBusy] = useState(false);
  const asked = useRef(0);
  const look = async (own: File | null, fields: Record<string, string>) => {
    if (!own && !file) return;
    const number = (asked.current += 1);
    setBusy(true);
    try {
      const lines = Object.entries(fields).map(([field, value]) => `${field}=${value}`);
      const which = own ? { name: own.name } : { source, file };
      const answer = await upload<MapTrial>(at("/maps/trial", { ...which, set: lines.join("\n") }), own ?? new Blob());
      // Who is faster than the daemon sees the last answer.
      if (number === asked.current) {
        setTold(answer);
        setError(null);
      }
    } catch (failed) {
      if (number === asked.current) setError(failed as Error);
    } finally {
      if (number === asked.current) setBusy(false);
    }
  };
  useEffect(() => void look(null, {}), [source, file]);
  const choose = (own: File | null) => {
    setChosen(own);
    setSet({});
    setTold(null);
    if (own) void look(own, {});
  };
  const put = (changes: Record<string, string>) => {
    const next = { ...set, ...changes };
    setSet(next);
    void look(chosen, next);
  };
  return (
    <div>
      <p class="back">
        <a href="/sources">← {t().nav.sources}</a>
      </p>
      <Heading title={said.title} lead={told ? told.file : said.lead}>
        <Whole />
      </Heading>
      <Panel title={said.file} lead={said.fileLead}>
        <label class="inline">
          <span>{said.choose}</span>
          <input type="file" onChange={(event) => choose(event.currentTarget.files?.[0] ?? null)} />
        </label>
      </Panel>
      {error && <Failed error={error} again={() => void look(chosen, set)} />}
      {busy && !told && <Loading />}
      {!told && !busy && !error && <Empty title={said.none}>{said.noneHint}</Empty>}
      {told && (
        <div aria-busy={busy}>
          <Columns of={told} put={put} />
          <Constants of={told} put={put} />
          <Rows of={told} />
          <Written of={told} />
        </div>
      )}
    </div>
  );
}

type Put = (changes: Record<string, string>) => void;

/** Each column with what stands in it, and the field that it becomes. */
function Columns({ of, put }: { of: MapTrial; put: Put }) {
  const said = t().map;
  return (
    <Panel title={said.columns} lead={said.columnsLead}>
      <Table
        label={said.columns}
        columns={[
          { name: "column", title: said.column, show: (one) => one.name },
          {
            name: "stands",
            title: said.stands,
            wraps: true,
            show: (one) => <span class="examples">{one.examples.join(" · ")}</span>,
          },
          {
            name: "becomes",
            title: said.becomes,
            wraps: true,
            show: (one) => <FieldOf column={one} of={of} put={put} />,
          },
        ]}
        rows={of.columns}
        id={(one) => one.name}
      />
    </Panel>
  );
}

/** The field that a column becomes, to be chosen. */
function FieldOf({ column, of, put }: { column: MapTrial["columns"][number]; of: MapTrial; put: Put }) {
  const said = t().map;
  return (
    <select
      aria-label={`${said.becomes} ${column.name}`}
      value={column.field ?? ""}
      onChange={(event) => {
        const field = event.currentTarget.value;
        if (field) put({ [field]: `@${column.name}` });
        else if (column.field) put({ [column.field]: "" });
      }}
    >
      <option value="">{said.nothing}</option>
      {of.fields.map((field) => (
        <option key={field.name} value={field.name}>
          {t().withId(columnName(field.name), field.name)}
        </option>
      ))}
    </select>
  );
}

/** Fields that no column gives: one value for all rows. */
function Constants({ of, put }: { of: MapTrial; put: Put }) {
  const said = t().map;
  const given = new Set(of.columns.map((column) => column.field));
  const names = of.fields
    .map((field) => field.name)
    .filter((name) => !given.has(name) && (of.missing.includes(name) || name in of.constants));
  if (names.length === 0) return null;
  return (
    <Panel title={said.constants} lead={of.missing.length > 0 ? said.missing(of.missing.length) : said.constantsLead}>
      <div class="form">
        {names.map((name) => (
          <label key={name}>
            <span>
              {columnName(name)} <code>{name}</code>
              {of.missing.includes(name) && <em class="trouble"> {said.needed}</em>}
            </span>
            <input
              name={name}
              defaultValue={of.constants[name] ?? ""}
              onChange={(event) =>
                event.currentTarget.value.trim() && put({ [name]: event.currentTarget.value.trim() })
              }
            />
          </label>
        ))}
      </div>
    </Panel>
  );
}

/** The first rows as events, and what is wrong with them. */
function Rows({ of }: { of: MapTrial }) {
  const said = t().map;
  const events = of.first as Record<string, unknown>[];
  const columns = SHOWN.filter((name) => events.some((event) => event[name] !== undefined));
  if (of.missing.length > 0) return null;
  return (
    <Panel title={said.trial} lead={said.counted(of.events, of.rejected, of.skipped)}>
      {events.length > 0 && (
        <Table
          label={said.trial}
          columns={columns.map((name) => ({
            name,
            title: columnName(name),
            isFigure: isMoney(name),
            show: (event: Record<string, unknown>) => shown(name, event[name]),
          }))}
          rows={events}
          id={(event) => String(event["event_id"])}
        />
      )}
      {of.faults.map((fault) => (
        <p key={fault} class="trouble">
          {fault}
        </p>
      ))}
    </Panel>
  );
}

/** The map as a text, to be taken away: it comes into force with the configuration, which somebody else checks. */
function Written({ of }: { of: MapTrial }) {
  const said = t().map;
  const name = `${of.file.replace(/\.[^.]*$/, "")}.yaml`;
  const take = () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([of.map], { type: "application/yaml" }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  };
  return (
    <Panel title={said.written} lead={said.writtenLead}>
      {of.notes.map((note) => (
        <p key={note} class="foot-note">
          {note}
        </p>
      ))}
      <pre class="problem">{of.map}</pre>
      <div class="form-foot">
        <button type="button" class="button is-main" disabled={of.missing.length > 0} onClick={take}>
          {said.take}
        </button>
        <span class="foot-note">{said.next(name)}</span>
      </div>
    </Panel>
  );
}

/** The files of a source that no map reads, each with a way to one. */
export function Waiting({ source, names, refused }: { source: string; names: string[]; refused: string[] }) {
  const said = t().map;
  const all = [...new Set([...refused, ...names])];
  if (all.length === 0 || !session.may("quarantine.read")) return null;
  return (
    <div>
      <h4>{said.waiting(all.length)}</h4>
      <ul class="files">
        {all.map((file) => (
          <li key={file}>
            <span>{file}</span>
            <a href={at("/sources/map", { source, file })}>{said.make}</a>
          </li>
        ))}
      </ul>
    </div>
  );
}
