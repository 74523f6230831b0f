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
  const rules = useLoad("rules", (stop) => ask<RuleList>("/rules", {}, { stop }));
  const { data, error, again } = useLoad(rule ? `explain ${event} ${rule}` : null, (stop) =>
    ask<Explanation>("/explain", { event, rule }, { stop }),
  );
  return (
    <Panel title={said.explain} lead={said.explainLead}>
      <label class="inline">
        <span>{said.rule}</span>
        <select
          value={rule ?? ""}
          onChange={(chosen) => go(withParams({ rule: chosen.currentTarget.value }), { replace: true })}
        >
          <option value="">{said.choose}</option>
          {(rules.data?.rules ?? []).map((one) => (
            <option key={one.id} value={one.id}>
              {ofRule(one.title)}（{one.id}）
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
      {of.window && of.window.events.length > 0 && (
        <details>
          <summary>{said.window(of.window.total)}</summary>
          <ul class="window-events">
            {of.window.events.map((event) => (
              <li key={event.event_id}>
                <span>{stamp(event.occurred_at)}</span>
                <a href={to("payments", event.event_id)}>{event.event_id}</a>
                <Money of={event.amount ?? null} />
              </li>
            ))}
          </ul>
        </details>
      )}
      {of.limits.map((limit) => (
        <p key={limit} class="foot-note">
          {limit}
        </p>
      ))}
    </div>
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
            key={condition.text}
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
