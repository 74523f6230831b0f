import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { send } from "../../api/client";
import { session } from "../../api/session";
import type { Approval } from "../../api/types";
import { given } from "../../api/who";
import { columnName, shown } from "../../format/values";
import { to } from "../../router";
import { settings } from "../../settings";
import { t, word } from "../../text";
import { Facts, Money, Panel, Time } from "../../ui/parts";
import { Sure } from "../../ui/sure";

/** One matter: what it is, who has done what with it, and what can be done now. It fits a phone. */
export function Card({ of, again }: { of: Approval; again: () => void }) {
  const said = t().approvals;
  const [why, setWhy] = useState("");
  const body = (extra: Record<string, unknown>) => {
    const who = given();
    return { ...extra, ...(why ? { why } : {}), ...(who ? { who } : {}) };
  };
  const path = `/approvals/${of.approval_id}`;
  const judge = (verdict: "approve" | "refuse") =>
    send("POST", `${path}/judgement`, body({ verdict, digest: of.digest })).then(again);
  const can = (verb: "approve" | "refuse" | "withdraw") => of.can.includes(verb);
  const isOwn = session.user !== null && of.proposed_by === session.user;
  return (
    <Panel
      title={`${said.kind[of.kind]} · ${of.reason}`}
      lead={
        <em class={`tag set-${of.state === "in_force" ? "in_force" : "proposed"}`}>{word(said.state, of.state)}</em>
      }
      aside={<span class="figure">{said.number(of.approval_id)}</span>}
      class="approval"
    >
      <Facts
        of={[
          ...(of.amount ? [[said.amount, <Money of={of.amount} />] as [string, ComponentChildren]] : []),
          [said.about, <What of={of} />],
          ...(of.missing.length > 0
            ? [
                [said.waitsFor, of.missing.map((role) => word(t().users.role, role)).join(" + ")] as [
                  string,
                  ComponentChildren,
                ],
              ]
            : []),
          ...(of.expires_at && of.state === "waiting"
            ? [[said.expires, <Time at={of.expires_at} />] as [string, ComponentChildren]]
            : []),
          ...(of.outcome ? [[t().works.column.outcome, of.outcome] as [string, ComponentChildren]] : []),
        ]}
      />
      <ol class="acts">
        {of.acts.map((act, at) => (
          <li key={at}>
            {word(said.verb, act.verb)} <strong>{act.who || said.nobody}</strong>{" "}
            <span class="faint">
              <Time at={act.at} />
            </span>
            {act.why && <span class="wrap"> {act.why}</span>}
          </li>
        ))}
      </ol>
      {of.can.length > 0 && (
        <div class="set-tools">
          <label class="inline">
            <span>{said.why}</span>
            <input value={why} maxLength={500} onInput={(event) => setWhy(event.currentTarget.value)} />
          </label>
          {session.user === null && (
            <label class="inline">
              <span>{t().act.name}</span>
              <input
                value={settings.officer.value}
                maxLength={100}
                autoComplete="name"
                onInput={(event) => (settings.officer.value = event.currentTarget.value)}
              />
            </label>
          )}
          {can("approve") && <Sure ask={said.approve} sure={said.approveSure} isMain act={() => judge("approve")} />}
          {can("refuse") && <Sure ask={said.refuse} sure={said.refuseSure} act={() => judge("refuse")} />}
          {can("withdraw") && (
            <Sure
              ask={said.withdraw}
              sure={said.withdrawSure}
              act={() => send("POST", `${path}/withdrawal`, body({})).then(again)}
            />
          )}
        </div>
      )}
      {isOwn && of.state === "waiting" && <p class="faint">{t().ruleSets.own}</p>}
      {(of.kind === "rules" || of.kind === "exception") && of.state === "approved" && (
        <p>
          <a href="/rule-sets">{said.force}</a>
        </p>
      )}
    </Panel>
  );
}

/** Everything else that is signed: who approves it is to have seen it. */
function Rest({ of, but }: { of: Record<string, unknown>; but: string[] }) {
  const rest = Object.entries(of).filter(([name]) => !but.includes(name));
  if (rest.length === 0) return null;
  return (
    <span class="faint wrap">
      {" "}
      {rest.map(([name, value]) => `${columnName(name)} ${shown(name, value)}`).join(" · ")}
    </span>
  );
}

/** What a matter is, in a few words, with links to what it is about. */
function What({ of }: { of: Approval }) {
  const said = t().approvals;
  const content = of.content as Record<string, unknown>;
  const text = (name: string) => String(content[name] ?? "");
  if (of.kind === "budget") {
    const actions = (content.actions ?? []) as Record<string, string>[];
    return (
      <ul class="plain-list">
        {actions.map((action, at) => (
          <li key={at}>
            {word(t().budgetAction, action.action ?? "")}{" "}
            <a href={to("budget", action.budget_line_id ?? "")}>{action.budget_line_id}</a>
            {action.to_budget_line_id && (
              <>
                {" → "}
                <a href={to("budget", action.to_budget_line_id)}>{action.to_budget_line_id}</a>
              </>
            )}{" "}
            <Money of={action.amount} />
            <Rest of={action} but={["action", "budget_line_id", "to_budget_line_id", "amount"]} />
          </li>
        ))}
      </ul>
    );
  }
  if (of.kind === "override")
    return (
      <>
        <a href={to("decisions", text("application"))}>{text("application")}</a>
        <Rest of={content} but={["application", "amount"]} />
      </>
    );
  if (of.kind === "exception")
    return (
      <>
        <a href={to("rules", text("rule"))}>{text("rule")}</a> {said.lets}{" "}
        <a href={to("units", text("unit"))}>{text("unit")}</a> {said.until(text("until"))}
      </>
    );
  if (of.kind === "list") {
    const put = (content.put ?? []) as Record<string, string>[];
    const gone = (content.remove ?? []) as string[];
    return (
      <>
        {text("list")}
        <ul class="plain-list">
          {put.map((row, at) => (
            <li key={`+${at}`}>+ {Object.values(row).join(" · ")}</li>
          ))}
          {gone.map((key, at) => (
            <li key={`-${at}`}>− {key}</li>
          ))}
        </ul>
      </>
    );
  }
  return (
    <a href="/rule-sets">
      <code>{of.subject.slice(0, 12)}</code>
    </a>
  );
}
