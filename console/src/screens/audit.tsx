import { useState } from "preact/hooks";
import { ask } from "../api/client";
import { useLoad } from "../api/load";
import type { AuditEntry, AuditPage, AuditReport } from "../api/types";
import { count } from "../format/money";
import { stamp } from "../format/time";
import { go, query, withParams } from "../router";
import { t, word } from "../text";
import { Empty, Failed, Heading, Loading, Panel, Time } from "../ui/parts";
import { Search } from "../ui/search";
import { type Column, Table } from "../ui/table";

const FIELDS = ["who", "action", "from", "to"] as const;
const PAGE = 200;

/** Who did what, from where and with what result; and whether the log is whole. */
export function AuditScreen() {
  const said = t().audit;
  const now = query.value;
  const asked = {
    q: now.get("q"),
    ...Object.fromEntries(FIELDS.map((name) => [name, now.get(name)])),
    result: now.get("result"),
    before: now.get("before"),
    limit: PAGE,
  };
  const { data, error, again } = useLoad(`audit ${JSON.stringify(asked)}`, (stop) =>
    ask<AuditPage>("/audit", asked, { stop }),
  );
  const only = (name: string, value: string) => withParams({ [name]: value, before: null });
  const columns: Column<AuditEntry>[] = [
    { name: "seq", title: said.number, isFigure: true, show: (one) => count(one.seq) },
    { name: "at", title: said.time, show: (one) => <Time at={one.done_at} /> },
    {
      name: "who",
      title: said.who,
      show: (one) => (one.who ? <a href={only("who", one.who)}>{one.who}</a> : said.nobody),
    },
    { name: "place", title: said.place, show: (one) => one.place },
    {
      name: "action",
      title: said.action,
      show: (one) => (
        <a href={only("action", one.action)} title={one.action}>
          {word(said.actions, one.action)}
        </a>
      ),
    },
    { name: "subject", title: said.subject, wraps: true, show: (one) => subject(one.subject) },
    {
      name: "result",
      title: said.result,
      show: (one) => (
        <span class={one.result === "done" || said.fine.includes(one.result) ? "" : "trouble"}>
          {word(said.results, one.result)}
        </span>
      ),
    },
    { name: "detail", title: said.detail, wraps: true, show: (one) => one.detail },
  ];
  return (
    <div>
      <Heading title={said.title} lead={data && chain(data)} />
      <Check />
      <Filters />
      {error && <Failed error={error} again={again} />}
      {!data && !error && <Loading rows={12} />}
      {data && data.entries.length === 0 && <Empty title={said.empty} />}
      {data && data.entries.length > 0 && (
        <Table label={said.title} columns={columns} rows={data.entries} id={(one) => String(one.seq)} />
      )}
      <div class="foot">
        {now.get("before") && (
          <a class="button" href={withParams({ before: null })}>
            {said.latest}
          </a>
        )}{" "}
        {data?.next && (
          <a class="button" href={withParams({ before: String(data.next) })}>
            {said.further}
          </a>
        )}
      </div>
    </div>
  );
}

/** A digest is told by its beginning, as everywhere. */
const subject = (text: string) => (/^[0-9a-f]{40,}$/.test(text) ? <code title={text}>{text.slice(0, 12)}</code> : text);

function chain(of: AuditPage): string {
  const said = t().audit;
  const sealed = of.sealed_at ? said.sealed(count(of.sealed), stamp(of.sealed_at)) : said.sealedNever;
  return `${said.records(count(of.records))} · ${sealed}`;
}

/** Follows the whole chain when somebody asks for it. */
function Check() {
  const said = t().audit;
  const [report, setReport] = useState<AuditReport | null>(null);
  const [trouble, setTrouble] = useState("");
  const [busy, setBusy] = useState(false);
  const check = async () => {
    setBusy(true);
    setTrouble("");
    try {
      setReport(await ask<AuditReport>("/audit/check"));
    } catch (error) {
      setTrouble((error as Error).message);
    }
    setBusy(false);
  };
  return (
    <Panel
      title={said.whole}
      lead={said.wholeLead}
      aside={
        <button type="button" class="button" disabled={busy} onClick={() => void check()}>
          {busy ? said.checking : said.check}
        </button>
      }
    >
      <div role="status">
        {report && (
          <p class={report.whole ? "" : "trouble"}>
            <strong>{report.whole ? said.isWhole(count(report.records)) : said.isBroken}</strong>{" "}
            {said.seals(report.seals, count(report.sealed))}
          </p>
        )}
        {report && (
          <p class="faint">
            {said.head} <code class="breaks">{report.head}</code>
          </p>
        )}
        {report?.problems.map((problem) => (
          <p key={problem} class="trouble">
            {problem}
          </p>
        ))}
      </div>
      {trouble && (
        <p class="trouble" role="alert">
          {trouble}
        </p>
      )}
    </Panel>
  );
}

function Filters() {
  const said = t().audit;
  const now = query.value;
  const change = (changes: Record<string, string>) => go(withParams({ ...changes, before: null }), { replace: true });
  const names: Record<(typeof FIELDS)[number], string> = {
    who: said.who,
    action: said.actionFilter,
    from: said.from,
    to: t().inbox.to,
  };
  return (
    <form
      class="filters filter-line"
      role="search"
      aria-label={t().inbox.filters}
      onSubmit={(event) => event.preventDefault()}
    >
      <Search label={said.find} value={now.get("q") ?? ""} onChange={(q) => change({ q })} />
      {FIELDS.map((name) => (
        <label key={name} class="inline">
          <span>{names[name]}</span>
          <input
            key={now.get(name) ?? ""}
            type={name === "from" || name === "to" ? "date" : "text"}
            list={name === "action" ? "audit-actions" : undefined}
            defaultValue={now.get(name) ?? ""}
            onChange={(event) => change({ [name]: event.currentTarget.value.trim() })}
          />
        </label>
      ))}
      <datalist id="audit-actions">
        {Object.entries(said.actions).map(([action, title]) => (
          <option key={action} value={action}>
            {title}
          </option>
        ))}
      </datalist>
      <label class="inline">
        <input
          type="checkbox"
          checked={now.get("result") === "refused"}
          onChange={(event) => change({ result: event.currentTarget.checked ? "refused" : "" })}
        />
        <span>{said.onlyRefused}</span>
      </label>
    </form>
  );
}
