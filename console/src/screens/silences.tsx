import { useEffect, useState } from "preact/hooks";
import { ask, send } from "../api/client";
import { useLoad } from "../api/load";
import { session } from "../api/session";
import { given, withWho } from "../api/who";
import type { Preview, Silence, SilencePage } from "../api/types";
import { go, query, withParams } from "../router";
import { settings } from "../settings";
import { t, word } from "../text";
import { Empty, Failed, Heading, Loading, Panel, Time } from "../ui/parts";
import { Sure } from "../ui/sure";
import { AlertLines } from "./alerts/related";

const DURATIONS = ["1h", "2h", "8h", "1d", "3d", "7d", "30d"];

/** Who is not to hear of what; what ends soon stands first. */
export function Silences() {
  const said = t().silences;
  const all = query.value.get("expired") === "true";
  const given = query.value.get("new");
  const { data, error, again } = useLoad(`silences ${all}`, (stop) =>
    ask<SilencePage>("/silences", { expired: all || null, limit: 500 }, { stop }),
  );
  const rows = data?.silences
    .slice()
    .sort(
      (a, b) => Number(a.state === "expired") - Number(b.state === "expired") || a.ends_at.localeCompare(b.ends_at),
    );
  return (
    <div>
      <Heading title={said.title} lead={said.lead}>
        <label class="inline">
          <input
            type="checkbox"
            checked={all}
            onChange={() => go(withParams({ expired: all ? null : "true" }), { replace: true })}
          />
          <span>{said.expired}</span>
        </label>
        <a class="button" href={withParams({ new: given === null ? " " : null })}>
          {given === null ? said.add : t().act.cancel}
        </a>
      </Heading>
      {given !== null && (
        <New
          matchers={given.trim()}
          done={() => {
            go(withParams({ new: null }), { replace: true });
            again();
          }}
        />
      )}
      {error && <Failed error={error} again={again} />}
      {!rows && !error && <Loading />}
      {rows && rows.length === 0 && <Empty title={said.empty} />}
      {rows && rows.length > 0 && (
        <div class="table-place" tabIndex={0} role="group" aria-label={said.title}>
          <table class="table is-cards">
            <thead>
              <tr>
                <th scope="col" class="figure">
                  {said.columns.id}
                </th>
                <th scope="col">{said.columns.state}</th>
                <th scope="col">{said.columns.matchers}</th>
                <th scope="col">{said.columns.reason}</th>
                <th scope="col">{said.columns.author}</th>
                <th scope="col" class="figure">
                  {said.columns.from}
                </th>
                <th scope="col" class="figure">
                  {said.columns.until}
                </th>
                <th scope="col">
                  <span class="sr">{t().act.bar}</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {rows.map((silence) => (
                <Row key={silence.silence_id} of={silence} again={again} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </div>
  );
}

function Row({ of, again }: { of: Silence; again: () => void }) {
  const said = t().silences;
  return (
    <tr class={of.state === "expired" ? "is-over" : ""}>
      <td data-name={said.columns.id} class="figure">
        {of.silence_id}
      </td>
      <td data-name={said.columns.state}>{word(said.state, of.state)}</td>
      <td data-name={said.columns.matchers}>
        {of.matchers.map((matcher) => (
          <code key={matcher} class="matcher">
            {matcher}
          </code>
        ))}
      </td>
      <td data-name={said.columns.reason} class="wrap">
        {of.reason}
        {of.expired_by && <small class="faint"> {said.endedBy(of.expired_by)}</small>}
      </td>
      <td data-name={said.columns.author}>{of.author}</td>
      <td data-name={said.columns.from} class="figure">
        <Time at={of.starts_at} />
      </td>
      <td data-name={said.columns.until} class="figure">
        <Time at={of.ends_at} />
      </td>
      <td class="row-tools">
        {of.state !== "expired" && (
          <Sure
            ask={said.end}
            sure={said.endSure}
            act={() => send("DELETE", withWho(`/silences/${of.silence_id}`)).then(again)}
          />
        )}
      </td>
    </tr>
  );
}

/** A silence to be ordered, with the alerts that it would mute now. */
function New({ matchers: first, done }: { matchers: string; done: () => void }) {
  const said = t().silences;
  const [matchers, setMatchers] = useState(first);
  const [duration, setDuration] = useState("2h");
  const [reason, setReason] = useState("");
  const [preview, setPreview] = useState<Preview | null>(null);
  const [trouble, setTrouble] = useState("");
  const lines = matchers
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);
  useEffect(() => {
    setPreview(null);
    setTrouble("");
    if (lines.length === 0) return undefined;
    const timer = setTimeout(() => {
      send<Preview>("POST", "/silences/preview", { matchers: lines }).then(setPreview, (error: Error) =>
        setTrouble(error.message),
      );
    }, 300);
    return () => clearTimeout(timer);
  }, [matchers]);
  const order = async () => {
    try {
      const author = given();
      await send("POST", "/silences", { matchers: lines, duration, reason, ...(author ? { author } : {}) });
      done();
    } catch (error) {
      setTrouble((error as Error).message);
    }
  };
  return (
    <Panel title={said.add}>
      <form
        class="form"
        onSubmit={(event) => {
          event.preventDefault();
          void order();
        }}
      >
        <label class="is-wide">
          <span>{said.matchers}</span>
          <textarea
            class="code"
            rows={3}
            value={matchers}
            spellcheck={false}
            aria-describedby="matchers-hint"
            onInput={(event) => setMatchers(event.currentTarget.value)}
          />
          <small id="matchers-hint">{said.matchersHint}</small>
        </label>
        <label>
          <span>{said.duration}</span>
          <select value={duration} onChange={(event) => setDuration(event.currentTarget.value)}>
            {DURATIONS.map((length) => (
              <option key={length} value={length}>
                {said.lasts(length)}
              </option>
            ))}
          </select>
        </label>
        {session.user === null && (
          <label>
            <span>{t().act.name}</span>
            <input
              value={settings.officer.value}
              maxLength={100}
              autoComplete="name"
              onInput={(event) => (settings.officer.value = event.currentTarget.value)}
            />
          </label>
        )}
        <label class="is-wide">
          <span>{said.reason}</span>
          <input value={reason} maxLength={1000} onInput={(event) => setReason(event.currentTarget.value)} />
        </label>
        <div class="form-foot">
          {trouble && (
            <span class="trouble" role="alert">
              {trouble}
            </span>
          )}
          {preview && (
            <span role="status">
              {preview.count === 0 ? said.previewNone : said.preview(preview.count, preview.complete)}
            </span>
          )}
          <button type="submit" class="button is-main" disabled={lines.length === 0}>
            {said.submit}
          </button>
        </div>
      </form>
      {preview && preview.alerts.length > 0 && <AlertLines alerts={preview.alerts.slice(0, 10)} />}
    </Panel>
  );
}
