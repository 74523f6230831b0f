import { useState } from "preact/hooks";
import { ask, send } from "../../api/client";
import { useLoad } from "../../api/load";
import type { Token, TokenList, TokenMade } from "../../api/types";
import { t, word } from "../../text";
import { Empty, Failed, Loading, Panel, Time } from "../../ui/parts";
import { Sure } from "../../ui/sure";
import { type Column, Table } from "../../ui/table";
import { mayManage } from "./index";

const ROLES = ["ingest", "decide", "metrics", "read"] as const;
const DURATIONS = ["30d", "90d", "180d", "365d"] as const;

/** What programs show instead of a password. */
export function Tokens() {
  const said = t().users;
  const { data, error, again } = useLoad("tokens", (stop) => ask<TokenList>("/tokens", {}, { stop }));
  const columns: Column<Token>[] = [
    { name: "name", title: said.tokenName, show: (one) => <strong>{one.name}</strong> },
    { name: "id", title: said.number, show: (one) => <code>{one.id}</code> },
    {
      name: "roles",
      title: said.roles,
      wraps: true,
      show: (one) => (one.user ? said.of(one.user) : one.roles.map((role) => word(said.role, role)).join("、")),
    },
    {
      name: "state",
      title: said.state,
      show: (one) => <span class={one.state === "good" ? "" : "faint"}>{word(said.states, one.state)}</span>,
    },
    { name: "expires", title: said.expires, show: (one) => <Time at={one.expires_at} /> },
    { name: "used", title: said.used, show: (one) => <Time at={one.used_at} /> },
    { name: "by", title: said.madeBy, show: (one) => one.created_by },
    {
      name: "tools",
      title: t().act.bar,
      show: (one) =>
        mayManage() &&
        one.state === "good" && (
          <Sure ask={said.revoke} act={() => send("DELETE", `/tokens/${encodeURIComponent(one.id)}`).then(again)} />
        ),
    },
  ];
  return (
    <>
      {mayManage() && <New again={again} />}
      {error && <Failed error={error} again={again} />}
      {!data && !error && <Loading />}
      {data && data.tokens.length === 0 && <Empty title={said.tokensNone} />}
      {data && data.tokens.length > 0 && (
        <Table
          label={said.tabs.tokens}
          columns={columns}
          rows={data.tokens}
          id={(one) => one.id}
          dim={(one) => one.state !== "good"}
        />
      )}
    </>
  );
}

function New({ again }: { again: () => void }) {
  const said = t().users;
  const [name, setName] = useState("");
  const [role, setRole] = useState<string>("ingest");
  const [duration, setDuration] = useState<string>("90d");
  const [made, setMade] = useState<TokenMade | null>(null);
  const [trouble, setTrouble] = useState("");
  const add = async () => {
    setTrouble("");
    try {
      setMade(await send<TokenMade>("POST", "/tokens", { name: name.trim(), roles: [role], duration }));
      setName("");
      again();
    } catch (error) {
      setTrouble((error as Error).message);
    }
  };
  return (
    <Panel title={said.addToken}>
      {made && (
        <div role="status" class="made">
          <p>{said.tokenOnce}</p>
          <code class="breaks">{made.token}</code>
        </div>
      )}
      <form
        class="form"
        onSubmit={(event) => {
          event.preventDefault();
          void add();
        }}
      >
        <label>
          <span>{said.tokenName}</span>
          <input value={name} required maxLength={100} onInput={(event) => setName(event.currentTarget.value)} />
        </label>
        <label>
          <span>{said.roles}</span>
          <select value={role} onChange={(event) => setRole(event.currentTarget.value)}>
            {ROLES.map((one) => (
              <option key={one} value={one}>
                {word(said.role, one)}
              </option>
            ))}
          </select>
        </label>
        <label>
          <span>{t().silences.duration}</span>
          <select value={duration} onChange={(event) => setDuration(event.currentTarget.value)}>
            {DURATIONS.map((one) => (
              <option key={one} value={one}>
                {t().silences.lasts(one)}
              </option>
            ))}
          </select>
        </label>
        <div class="form-foot">
          {trouble && (
            <span class="trouble" role="alert">
              {trouble}
            </span>
          )}
          <button type="submit" class="button is-main">
            {said.addToken}
          </button>
        </div>
      </form>
    </Panel>
  );
}
