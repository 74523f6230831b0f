import { useState } from "preact/hooks";
import { send } from "../../api/client";
import { session } from "../../api/session";
import type { Alert, AlertDetail } from "../../api/types";
import { day } from "../../format/time";
import { settings } from "../../settings";
import { t, word } from "../../text";
import { Facts, Panel, Time } from "../../ui/parts";
import { update } from "./model";
import { isOver } from "./work";

const isOut = (stage: string | undefined) => stage === "sent" || stage === "answered";

/** The letter that asks the unit to explain: as the unit would read it, and what became of it. */
export function Letter({ detail, again }: { detail: AlertDetail; again: () => void }) {
  const said = t().alert;
  const { alert, draft } = detail;
  const { inquiry } = alert;
  if (!inquiry && !draft) return null;
  return (
    <Panel title={said.letter} lead={inquiry && word(said.letterStage, inquiry.stage)}>
      {inquiry && isOut(inquiry.stage) && (
        <Facts
          of={[
            [t().act.name, inquiry.by],
            [said.at, <Time at={inquiry.at} />],
            [said.letterDays, inquiry.due && said.letterDue(day(inquiry.due))],
            [said.letterNote, inquiry.note],
            [said.letterLink, inquiry.linked ? said.letterLinked : said.letterNoLink],
            [said.letterAnswered, inquiry.answered_at && <Time at={inquiry.answered_at} />],
          ]}
        />
      )}
      {inquiry?.undelivered && <p class="trouble">{said.letterUndelivered(inquiry.undelivered)}</p>}
      {draft && (
        <details class="letter">
          <summary>{draft.subject}</summary>
          <pre>{draft.text}</pre>
        </details>
      )}
      {draft?.trouble && <p class="trouble">{draft.trouble}</p>}
      {!isOver(alert) && draft?.to && (
        <Order alert={alert} to={draft.to} isSent={isOut(inquiry?.stage)} again={again} />
      )}
    </Panel>
  );
}

function Order({ alert, to, isSent, again }: { alert: Alert; to: string; isSent: boolean; again: () => void }) {
  const said = t().alert;
  const [days, setDays] = useState("");
  const [note, setNote] = useState("");
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const give = async () => {
    setBusy(true);
    try {
      const who = session.peekUser() ? undefined : settings.officer.peek();
      const body = {
        ...(who ? { who } : {}),
        ...(days ? { deadline: Number(days) } : {}),
        ...(note.trim() ? { note: note.trim() } : {}),
        ...(isSent ? { again: true } : {}),
      };
      update(await send<Alert>("POST", `/alerts/${encodeURIComponent(alert.alert_id)}/inquire`, body, alert.version));
      setError(null);
      again();
    } catch (failed) {
      setError((failed as Error).message);
    } finally {
      setBusy(false);
    }
  };
  return (
    <form
      class="letter-order"
      onSubmit={(event) => {
        event.preventDefault();
        void give();
      }}
    >
      <p>
        {said.letterTo} {to}
      </p>
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
      <label>
        <span>{said.letterDays}</span>
        <input type="number" min={1} max={60} value={days} onInput={(event) => setDays(event.currentTarget.value)} />
      </label>
      <label>
        <span>{said.letterNote}</span>
        <textarea rows={2} value={note} onInput={(event) => setNote(event.currentTarget.value)} />
      </label>
      {error && (
        <p class="trouble" role="alert">
          {error}
        </p>
      )}
      <button type="submit" class="button" disabled={busy}>
        {isSent ? said.letterAgain : said.letterSend}
      </button>
    </form>
  );
}
