import { useRef, useState } from "preact/hooks";
import { ask, at, upload } from "../../api/client";
import { useLoad } from "../../api/load";
import { session } from "../../api/session";
import type { Alert, Attachments } from "../../api/types";
import { count } from "../../format/money";
import { settings } from "../../settings";
import { t, word } from "../../text";
import { Panel, Time } from "../../ui/parts";
import { isOver } from "./work";

/** The files of a case: those that the unit sent, and those that officers add. */
export function Files({ alert, again }: { alert: Alert; again: () => void }) {
  const said = t().alert;
  const path = `/alerts/${encodeURIComponent(alert.alert_id)}/attachments`;
  const { data, again: reload } = useLoad(`files ${alert.alert_id} ${alert.version}`, (stop) =>
    ask<Attachments>(path, {}, { stop }),
  );
  const input = useRef<HTMLInputElement>(null);
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const add = async () => {
    const file = input.current?.files?.[0];
    if (!file) return;
    setBusy(true);
    try {
      const who = session.peekUser() ? null : settings.officer.peek();
      await upload(at(path, { name: file.name, who }), file);
      setError(null);
      reload();
      again();
    } catch (failed) {
      setError((failed as Error).message);
    } finally {
      setBusy(false);
      if (input.current) input.current.value = "";
    }
  };
  const mayTake = session.may("files.read");
  const mayAdd = session.may("alerts.work") && !isOver(alert);
  if (!data || (data.attachments.length === 0 && !mayAdd)) return null;
  return (
    <Panel title={said.files} lead={data.attachments.length > 0 ? count(data.attachments.length) : undefined}>
      {data.attachments.length === 0 && <p class="faint">{said.filesNone}</p>}
      <ul class="plain-list">
        {data.attachments.map((file) => (
          <li key={file.attachment_id}>
            {mayTake ? (
              <a href={`/api/v1${path}/${file.attachment_id}`} download={file.name}>
                {file.name}
              </a>
            ) : (
              file.name
            )}{" "}
            <span class="faint">
              {word(said.fileKinds, file.kind)} · {count(Math.ceil(file.bytes / 1024))} KiB · {file.who} ·{" "}
              <Time at={file.at} />
            </span>
          </li>
        ))}
      </ul>
      {mayAdd && (
        <label class="letter-order">
          <span>{said.fileAdd}</span>
          <input
            ref={input}
            type="file"
            accept=".pdf,.ofd,.docx,.xlsx,.png,.jpg,.jpeg,.txt,.csv"
            disabled={busy}
            onChange={() => void add()}
          />
        </label>
      )}
      {error && (
        <p class="trouble" role="alert">
          {error}
        </p>
      )}
    </Panel>
  );
}
