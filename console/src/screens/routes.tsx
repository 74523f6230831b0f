import { useEffect, useState } from "preact/hooks";
import { ask, send } from "../api/client";
import { useLoad } from "../api/load";
import type { Route, RouteTree, TrialResult } from "../api/types";
import { stamp } from "../format/time";
import { go, query, to, withParams } from "../router";
import { t, word } from "../text";
import { Empty, Failed, Heading, Loading, Panel } from "../ui/parts";

/** A route, and what becomes of what is tried there; null where nothing is. */
interface Step {
  route: Route;
  passage: string | null;
}

/** Who is told of what: the tree in force, and who would be told of an alert like this. */
export function Routes() {
  const said = t().routes;
  const labels = query.value.get("labels") ?? "";
  const alert = query.value.get("alert");
  const isTried = labels !== "" || alert !== null;
  const tree = useLoad("routes", (stop) => ask<RouteTree>("/routes", {}, { stop }));
  const trial = useLoad(isTried ? `trial ${labels} ${alert}` : null, () =>
    send<TrialResult>("POST", "/routes/trial", { labels: lines(labels), ...(alert ? { alert } : {}) }),
  );
  const steps: Step[] = trial.data?.routes ?? tree.data?.routes.map((route) => ({ route, passage: null })) ?? [];
  return (
    <div>
      <Heading title={said.title} lead={said.lead} />
      <Trial key={`${labels} ${alert}`} labels={labels} alert={alert} />
      {trial.error && <Failed error={trial.error} again={trial.again} />}
      {trial.data && <Answer of={trial.data} />}
      {tree.error && <Failed error={tree.error} again={tree.again} />}
      {!tree.data && !tree.error && <Loading />}
      {tree.data && tree.data.routes.length === 0 && <Empty title={said.none} />}
      {steps.length > 0 && (
        <Panel title={said.tree} lead={said.treeLead}>
          <ol class="routes">
            {steps.map((step) => (
              <StepLine key={step.route.route} {...step} />
            ))}
          </ol>
        </Panel>
      )}
    </div>
  );
}

/** Labels as people write them: in lines, or parted by blanks. */
const lines = (text: string): string[] =>
  text
    .split(/[\n,，]+|\s+(?=[a-z_]+=)/)
    .map((line) => line.trim())
    .filter(Boolean);

function Trial({ labels: first, alert }: { labels: string; alert: string | null }) {
  const said = t().routes;
  const [labels, setLabels] = useState(first);
  useEffect(() => setLabels(first), [first]);
  return (
    <Panel title={said.trial} lead={said.trialLead}>
      <form
        class="form"
        onSubmit={(event) => {
          event.preventDefault();
          go(withParams({ labels: lines(labels).join("\n") }));
        }}
      >
        {alert && (
          <p class="is-wide">
            {said.likeAlert}{" "}
            <a href={to("alerts", alert)}>
              <code>{alert}</code>
            </a>{" "}
            <a class="chip" href={withParams({ alert: null })}>
              {t().inbox.clear} ×
            </a>
          </p>
        )}
        <label class="is-wide">
          <span>{said.labels}</span>
          <textarea
            class="code"
            rows={4}
            value={labels}
            spellcheck={false}
            aria-describedby="labels-hint"
            placeholder={"rule=large-cash\nseverity=high\nunit_code=101001"}
            onInput={(event) => setLabels(event.currentTarget.value)}
          />
          <small id="labels-hint">{said.labelsHint}</small>
        </label>
        <div class="form-foot">
          <button type="submit" class="button is-main" disabled={!alert && lines(labels).length === 0}>
            {said.begin}
          </button>
        </div>
      </form>
    </Panel>
  );
}

/** Who would be told, and what holds it back. */
function Answer({ of }: { of: TrialResult }) {
  const said = t().routes;
  const taken = of.routes.filter((step) => step.passage === "taken");
  return (
    <Panel title={said.answer} class="route-answer">
      <div role="status">
        {of.sinks.length === 0 ? (
          <p class="trouble">{said.nobody}</p>
        ) : (
          <p>
            {said.told} <strong>{of.sinks.join("、")}</strong>
          </p>
        )}
        {taken.map((step) => (
          <p key={step.route.route} class="faint">
            <code>{step.route.route}</code> · {step.group ? said.withOthers(step.group) : said.alone}
            {step.digest_at && ` · ${said.digestAt(stamp(step.digest_at).slice(0, 16))}`}
          </p>
        ))}
        {of.held_by.length === 0 && <p>{said.notHeld}</p>}
        {of.held_by.map((hold) => (
          <p key={`${hold.by} ${hold.id}`} class="trouble">
            {word(said.heldBy, hold.by)}{" "}
            {hold.by === "alert" ? <a href={to("alerts", hold.id)}>{hold.what ?? hold.id}</a> : hold.id}{" "}
            {hold.by === "silence" && hold.what} {hold.until && said.until(stamp(hold.until).slice(0, 16))}
          </p>
        ))}
      </div>
    </Panel>
  );
}

function StepLine({ route: of, passage }: Step) {
  const said = t().routes;
  const details = [
    of.sinks.length > 0 ? said.to(of.sinks.join("、")) : said.toNobody,
    of.digest ? said.withDigest : said.waits(span(of.group_wait_seconds), span(of.group_interval_seconds)),
    of.repeat_interval_seconds == null ? said.neverAgain : said.again(span(of.repeat_interval_seconds)),
    said.together(of.group_by.join(", ") || t().empty),
    ...(of.tell_ended ? [] : [said.notOfEnds]),
    ...(of.send_letters ? [said.letters] : []),
    ...(of.continue ? [said.goesOn] : []),
  ];
  return (
    <li class={`depth-${Math.min(of.depth, 4)}${passage ? ` is-${passage}` : ""}`}>
      <div>
        {of.matchers.length === 0 ? said.every : of.matchers.map((one) => <code key={one}>{one}</code>)}
        {passage && <em class={`tag passage-${passage}`}>{word(said.passage, passage)}</em>}
      </div>
      <small class="faint">{details.join(" · ")}</small>
    </li>
  );
}

/** Seconds in the largest unit that divides them. */
function span(seconds: number): string {
  const { units } = t().routes;
  for (const [size, unit] of [
    [86_400, units.days],
    [3_600, units.hours],
    [60, units.minutes],
  ] as const)
    if (seconds >= size && seconds % size === 0) return `${seconds / size} ${unit}`;
  return `${seconds} ${units.seconds}`;
}
