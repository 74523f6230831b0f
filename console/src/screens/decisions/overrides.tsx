import { useState } from "preact/hooks";
import { ask, send } from "../../api/client";
import { useLoad } from "../../api/load";
import { session } from "../../api/session";
import { given, withWho } from "../../api/who";
import type { Decision, Override, OverridePage } from "../../api/types";
import { to } from "../../router";
import { settings } from "../../settings";
import { t, word } from "../../text";
import { Facts, Failed, Money, Panel, Time } from "../../ui/parts";
import { Propose } from "../../ui/propose";
import { Sure } from "../../ui/sure";

/** Who let a blocked application pass, and the form for who may. */
export function Overrides({ of }: { of: Decision }) {
  const said = t().decisions;
  const { data, error, again } = useLoad(`overrides ${of.event_id}`, (stop) =>
    ask<OverridePage>("/overrides", { application: of.event_id }, { stop }),
  );
  const [granting, setGranting] = useState(false);
  const [asking, setAsking] = useState<"" | "open" | "done">("");
  if (error) return <Failed error={error} again={again} />;
  const overrides = data?.overrides ?? [];
  const isFree = data && overrides.every((one) => one.state === "revoked" || one.state === "expired");
  const isBlocked = of.reasons.some((reason) => reason.handling === "block");
  const may = session.may("overrides.grant") && isFree && isBlocked;
  // Who grants none asks for one, which others then approve.
  const mayAsk = !may && isFree && isBlocked && session.may("budget.propose");
  if (overrides.length === 0 && !may && !mayAsk) return null;
  return (
    <Panel title={said.overrides} lead={overrides.length > 0 ? said.overrideHint : null}>
      {overrides.map((one) => (
        <One key={one.override_id} of={one} again={again} />
      ))}
      {may && !granting && (
        <button type="button" class="button" onClick={() => setGranting(true)}>
          {said.override}
        </button>
      )}
      {mayAsk && asking === "" && (
        <button type="button" class="button" onClick={() => setAsking("open")}>
          {t().approvals.overrides}
        </button>
      )}
      {mayAsk && asking === "open" && (
        <Ask
          of={of}
          done={() => {
            setAsking("done");
            again();
          }}
        />
      )}
      {asking === "done" && (
        <p role="status">
          {t().approvals.proposed} <a href="/approvals">{t().nav.approvals}</a>
        </p>
      )}
      {may && granting && (
        <Grant
          of={of}
          done={(isGranted) => {
            setGranting(false);
            if (isGranted) again();
          }}
        />
      )}
    </Panel>
  );
}

function One({ of, again }: { of: Override; again: () => void }) {
  const said = t().decisions;
  const may = session.may("overrides.grant");
  const path = `/overrides/${of.override_id}`;
  const granted = of.granted.map((act) => (
    <span key={act.who}>
      {act.who} <Time at={act.at} />{" "}
    </span>
  ));
  return (
    <section class="override">
      <h3>
        {said.overrideNumber(of.override_id)} · {word(said.overrideState, of.state)}
      </h3>
      <Facts
        of={[
          [said.overrideFor, <Money of={of.amount} />],
          [said.overrideReason, of.reason],
          [said.overrideBy, <>{granted}</>],
          [said.overrideUntil, <Time at={of.expires_at} />],
          ...(of.used_by
            ? ([[said.overrideUsed, <a href={to("decisions", of.used_by)}>{of.used_by}</a>]] as [
                string,
                preact.JSX.Element,
              ][])
            : []),
        ]}
      />
      {may && of.state === "waiting" && (
        <Sure
          ask={said.overrideConfirm}
          sure={said.overrideSure}
          act={() => send("POST", withWho(`${path}/confirm`)).then(again)}
        />
      )}
      {may && (of.state === "waiting" || of.state === "in_force") && (
        <Sure
          ask={said.overrideRevoke}
          sure={said.overrideSure}
          act={() => send("DELETE", withWho(path)).then(again)}
        />
      )}
    </section>
  );
}

/** What is asked of who wants it. */
function Ask({ of, done }: { of: Decision; done: () => void }) {
  const [amount, setAmount] = useState(of.amount);
  const body = { kind: "override", application: of.event_id, amount };
  return (
    <Propose path="/approvals" body={body} done={done}>
      <label>
        <span>{t().decisions.overrideFor}</span>
        <input
          name="amount"
          inputMode="decimal"
          required
          maxLength={20}
          value={amount}
          onInput={(event) => setAmount(event.currentTarget.value.trim())}
        />
      </label>
    </Propose>
  );
}

/** What is asked of who answers for it. */
function Grant({ of, done }: { of: Decision; done: (isGranted: boolean) => void }) {
  const said = t().decisions;
  const [reason, setReason] = useState("");
  const [amount, setAmount] = useState(of.amount);
  const [trouble, setTrouble] = useState("");
  const asksName = !session.peekUser();
  const grant = async () => {
    try {
      const who = given();
      const order = { reason, amount, ...(who ? { who } : {}) };
      await send("POST", `/decisions/${encodeURIComponent(of.event_id)}/overrides`, order);
      done(true);
    } catch (error) {
      setTrouble((error as Error).message);
    }
  };
  return (
    <form
      class="form"
      onSubmit={(event) => {
        event.preventDefault();
        void grant();
      }}
    >
      <label class="is-wide">
        <span>{said.overrideReason}</span>
        <textarea
          name="reason"
          rows={2}
          required
          maxLength={4000}
          value={reason}
          onInput={(event) => setReason(event.currentTarget.value)}
        />
      </label>
      <label>
        <span>{said.overrideFor}</span>
        <input
          name="amount"
          inputMode="decimal"
          required
          value={amount}
          onInput={(event) => setAmount(event.currentTarget.value)}
        />
      </label>
      {asksName && (
        <label>
          <span>{said.overrideWho}</span>
          <input
            name="who"
            autoComplete="name"
            required
            maxLength={100}
            value={settings.officer.value}
            onInput={(event) => (settings.officer.value = event.currentTarget.value)}
          />
        </label>
      )}
      {trouble && (
        <p class="trouble" role="alert">
          {trouble}
        </p>
      )}
      <div class="is-wide">
        <button type="submit" class="button is-main">
          {said.override}
        </button>{" "}
        <button type="button" class="button" onClick={() => done(false)}>
          {t().act.cancel}
        </button>
      </div>
    </form>
  );
}
