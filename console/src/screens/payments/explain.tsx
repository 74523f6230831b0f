import { ask } from "../../api/client";
import { useLoad } from "../../api/load";
import type { Explanation, RuleList } from "../../api/types";
import { columnName, isMoney, shown } from "../../format/values";
import { stamp } from "../../format/time";
import { go, query, to, withParams } from "../../router";
import { t, word } from "../../text";
import { Failed, Loading, Money, Panel } from "../../ui/parts";
import { said as ofRule } from "../rules/list";

type Condition = Explanation["when"][number];

/** What a rule says to an event, and why; the rule stands in the address. */
export function Explain({ event, first }: { event: string; first: string | null }) {
  const said = t().payments;
  const rule = query.value.get("rule") ?? first;
  const at = query.value.get("at");
  const rules = useLoad("rules", (stop) => ask<RuleList>("/rules", {}, { stop }));
  const { data, error, again } = useLoad(rule ? `explain ${event} ${rule} ${at}` : null, (stop) =>
    ask<Explanation>("/explain", { event, rule, at }, { stop }),
  );
  return (
    <Panel title={said.explain} lead={said.explainLead}>
      <label class="inline">
        <span>{said.rule}</span>
        <select
          value={rule ?? ""}
          onChange={(chosen) => go(withParams({ rule: chosen.currentTarget.value, at: null }), { replace: true })}
        >
          <option value="">{said.choose}</option>
          {(rules.data?.rules ?? []).map((one) => (
            <option key={one.id} value={one.id}>
              {t().withId(ofRule(one.title), one.id)}
            </option>
          ))}
        </select>
      </label>
      {error && <Failed error={error} again={again} />}
      {rule && !data && !error && <Loading rows={3} />}
      {data && <Explained of={data} />}
    </Panel>
  );
}

/** An explanation: each condition with its answer, and the values that were read. */
export function Explained({ of }: { of: Explanation }) {
  const said = t().explain;
  const values = Object.entries(of.values as Record<string, unknown>);
  const params = Object.entries(of.params as Record<string, unknown>);
  return (
    <div class="explained">
      <p class={`verdict verdict-${of.verdict}`}>
        <a href={to("rules", of.rule_id)}>{of.title}</a> <strong>{word(said.verdict, of.verdict)}</strong>
      </p>
      {of.nearest && (
        <p>
          {said.nearest} <code>{of.nearest}</code>
        </p>
      )}
      <Conditions title={said.where} of={of.where} />
      <Conditions title={said.when} of={of.when} />
      <Conditions title={said.exceptions} of={of.exceptions} />
      {values.length > 0 && (
        <section>
          <h3>{said.values}</h3>
          <div class="values">
            <table>
              <tbody>
                {values.map(([name, value]) => (
                  <tr key={name}>
                    <th scope="row">
                      {columnName(name)} <code>{name}</code>
                    </th>
                    <td class={isMoney(name) ? "money" : ""}>{shown(name, value)}</td>
                  </tr>
                ))}
                {params.map(([name, value]) => (
                  <tr key={`$${name}`}>
                    <th scope="row">
                      {said.params} <code>${name}</code>
                    </th>
                    <td>{shown("", value)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </section>
      )}
      {of.tick && <AtTick of={of.tick} />}
      {of.window && <InWindow of={of.window} />}
      {of.baseline && (
        <ComparedWith of={of.baseline} now={values.find(([name]) => name === of.baseline?.measure)?.[1]} />
      )}
      <ListRows of={of.lists} />
      {of.limits.map((limit) => (
        <p key={limit} class="foot-note">
          {limit}
        </p>
      ))}
    </div>
  );
}

/** The events of a window, and from when to when it is. */
function InWindow({ of }: { of: NonNullable<Explanation["window"]> }) {
  const said = t().explain;
  return (
    <section>
      {of.start && of.end && (
        <>
          <h3>{said.ownWindow}</h3>
          <p>
            {stamp(of.start)} {said.until} {stamp(of.end)}
            {of.closed === false && <span class="tag">{said.open}</span>}
          </p>
        </>
      )}
      {of.events.length > 0 && (
        <details>
          <summary>{said.window(of.total)}</summary>
          <ul class="window-events">
            {of.events.map((event) => (
              <li key={event.event_id}>
                <span>{stamp(event.occurred_at)}</span>
                <a href={to("payments", event.event_id)}>{event.event_id}</a>
                <Money of={event.amount ?? null} />
              </li>
            ))}
          </ul>
        </details>
      )}
    </section>
  );
}

const [BARS_WIDTH, BARS_HEIGHT] = [520, 72];

/** The windows before this one as bars, and what is usual as a line; the same as a table for those who listen. */
function ComparedWith({ of, now }: { of: NonNullable<Explanation["baseline"]>; now: unknown }) {
  const said = t().explain;
  const own = Number(now);
  const bars = [...of.before.map((one) => Number(one.value)), own].map((n) => (Number.isFinite(n) ? n : 0));
  const usual = of.usual === null || of.usual === undefined ? null : Number(of.usual);
  const most = Math.max(...bars, usual ?? 0) || 1;
  const step = BARS_WIDTH / Math.max(30, bars.length);
  const rounded = (value: unknown) => (value === null || value === undefined ? t().empty : rough(Number(value)));
  return (
    <section>
      <h3>{said.baseline}</h3>
      <p>
        {said.compared(columnName(of.measure), said.methods[of.method] ?? of.method, of.before.length)}{" "}
        {usual === null ? said.tooFew(of.least) : said.scored(rounded(of.usual), rounded(of.score))}
      </p>
      {of.before.length > 0 && (
        <figure class="weeks before">
          <svg
            viewBox={`0 0 ${BARS_WIDTH} ${BARS_HEIGHT}`}
            role="img"
            aria-label={said.baseline}
            preserveAspectRatio="none"
          >
            {bars.map((value, at) => {
              const height = (Math.max(0, value) / most) * BARS_HEIGHT;
              const kind = at === bars.length - 1 ? "part-own" : "part-executed";
              return (
                <rect
                  key={at}
                  class={kind}
                  x={at * step}
                  width={Math.max(1, step - 2)}
                  y={BARS_HEIGHT - height}
                  height={height}
                />
              );
            })}
            {usual !== null && (
              <line
                class="usual"
                x1={0}
                x2={BARS_WIDTH}
                y1={BARS_HEIGHT * (1 - usual / most)}
                y2={BARS_HEIGHT * (1 - usual / most)}
              />
            )}
          </svg>
          <div class="weeks-ends">
            <span>{stamp(of.before[0]!.start)}</span>
            <span>{said.thisOne}</span>
          </div>
          <details>
            <summary>{said.asTable}</summary>
            <div class="values">
              <table>
                <tbody>
                  {of.before.map((one) => (
                    <tr key={one.start}>
                      <th scope="row">{stamp(one.start)}</th>
                      <td class="money">{shown(of.measure, one.value)}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          </details>
        </figure>
      )}
    </section>
  );
}

/** A figure that nobody counts to the cent. */
const rough = (value: number): string =>
  Number.isFinite(value) ? String(Number(value.toPrecision(4))) : t().explain.beyond;

/** The tick of a rule on a schedule, and what its query had for the event. */
function AtTick({ of }: { of: NonNullable<Explanation["tick"]> }) {
  const said = t().explain;
  return (
    <section>
      <h3>{said.tick}</h3>
      <p>{said.ticked(stamp(of.at), of.rows, of.own.length)}</p>
      {of.ticks.length > 1 && (
        <p class="ticks">
          {said.otherTicks}
          {of.ticks.map((at) =>
            at === of.at ? (
              <strong key={at}>{stamp(at)}</strong>
            ) : (
              <a key={at} href={withParams({ at })}>
                {stamp(at)}
              </a>
            ),
          )}
        </p>
      )}
    </section>
  );
}

/** The rows of reference lists that tell of the event. */
function ListRows({ of }: { of: Explanation["lists"] }) {
  const said = t().explain;
  if (of.length === 0) return null;
  return (
    <section>
      <h3>{said.lists}</h3>
      <ul class="list-rows">
        {of.map((one, at) => (
          <li key={at}>
            <p>
              <code>{one.list}</code> <span class="foot-note">{said.version(one.version.slice(0, 8), one.rows)}</span>
            </p>
            {one.row ? (
              <p>
                {Object.entries(one.row as Record<string, unknown>)
                  .filter(([, value]) => value !== "")
                  .map(([name, value]) => `${columnName(name)} ${String(value)}`)
                  .join("；")}
              </p>
            ) : (
              <p class="foot-note">{said.notListed}</p>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}

/** The conditions alone: why a rule found something about an event. */
export function Because({ event, rule }: { event: string; rule: string }) {
  const said = t().explain;
  const { data, error } = useLoad(`explain ${event} ${rule}`, (stop) =>
    ask<Explanation>("/explain", { event, rule }, { stop }),
  );
  // The values beside it say the most; what cannot be explained any more is not an error of the alert.
  if (error || !data) return null;
  // The rule is another one by now: what it says today is not why the alert is there.
  if (data.verdict !== "found")
    return (
      <p class="foot-note">
        {said.changed}{" "}
        <a href={`${to("payments", event)}?rule=${encodeURIComponent(rule)}`}>{word(said.verdict, data.verdict)}</a>
      </p>
    );
  return (
    <div class="explained">
      <Conditions title={said.where} of={data.where} />
      <Conditions title={said.when} of={data.when} />
      <Conditions title={said.exceptions} of={data.exceptions} />
      {data.limits.map((limit) => (
        <p key={limit} class="foot-note">
          {limit}
        </p>
      ))}
    </div>
  );
}

function Conditions({ title, of }: { title: string; of: Condition[] }) {
  const said = t().explain;
  if (of.length === 0) return null;
  const answer = (holds: boolean | null | undefined) =>
    holds === true ? said.holds : holds === false ? said.fails : said.notAsked;
  return (
    <section>
      <h3>{title}</h3>
      <ul class="conditions">
        {of.map((condition) => (
          <li
            key={`${condition.name} ${condition.text}`}
            class={condition.holds === true ? "does-hold" : condition.holds === false ? "does-not" : ""}
          >
            <span class="answer">{answer(condition.holds)}</span>
            <code>
              {condition.name ? `${condition.name}: ` : ""}
              {condition.text}
            </code>
          </li>
        ))}
      </ul>
    </section>
  );
}
