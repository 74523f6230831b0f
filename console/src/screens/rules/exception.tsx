import { useState } from "preact/hooks";
import { session } from "../../api/session";
import { count } from "../../format/money";
import { t } from "../../text";
import { Propose } from "../../ui/propose";

/** A rule and a unit of which officers dismissed every alert. */
export interface Suggestion {
  rule: string;
  unit: string;
  dismissed: number;
}

/** The day a year from now: an exception ends by itself. */
function aYearOn(): string {
  const day = new Date();
  day.setFullYear(day.getFullYear() + 1);
  return day.toISOString().slice(0, 10);
}

/** What officers' verdicts suggest, and the exception that an author may propose to whoever approves rules. */
export function ProposeException({ of }: { of: Suggestion }) {
  const said = t().exception;
  const [state, setState] = useState<"" | "open" | "done">("");
  const [until, setUntil] = useState(aYearOn);
  if (state === "done")
    return (
      <p role="status">
        {said.proposed} <a href="/rule-sets">{t().nav.ruleSets}</a>
      </p>
    );
  if (!session.may("rules.propose")) return <p class="faint">{said.byAuthor}</p>;
  if (state === "")
    return (
      <button type="button" class="button" onClick={() => setState("open")}>
        {said.propose}
      </button>
    );
  return (
    <>
      <p class="faint">{said.lead(of.rule, of.unit)}</p>
      <Propose
        path={`/rules/${encodeURIComponent(of.rule)}/exceptions`}
        body={{ unit: of.unit, until }}
        suggested={of.dismissed > 0 ? said.reason(count(of.dismissed)) : ""}
        done={() => setState("done")}
      >
        <label>
          <span>{said.until}</span>
          <input
            name="until"
            type="date"
            required
            value={until}
            onInput={(event) => setUntil(event.currentTarget.value)}
          />
        </label>
      </Propose>
    </>
  );
}
