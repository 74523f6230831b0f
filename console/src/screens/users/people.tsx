import { useState } from "preact/hooks";
import { ask, send } from "../../api/client";
import { useLoad } from "../../api/load";
import { session } from "../../api/session";
import type { User, UserList } from "../../api/types";
import { t, word } from "../../text";
import { Empty, Failed, Loading, Panel, Time } from "../../ui/parts";
import { type Column, Table, sorted } from "../../ui/table";
import { mayManage } from "./index";

const ROLES = ["officer", "supervisor", "author", "approver", "auditor", "security", "system"] as const;

/** The users: what they may, whether they still may, and when they were here last. */
export function People() {
  const said = t().users;
  const { data, error, again } = useLoad("users", (stop) => ask<UserList>("/users", {}, { stop }));
  const [open, setOpen] = useState<User | "new" | null>(null);
  const done = () => {
    setOpen(null);
    again();
  };
  const columns: Column<User>[] = [
    { name: "name", title: said.name, by: (one) => one.name, show: (one) => <strong>{one.name}</strong> },
    {
      name: "roles",
      title: said.roles,
      wraps: true,
      by: (one) => one.roles.join(),
      show: (one) => one.roles.map((role) => word(said.role, role)).join("、"),
    },
    { name: "limits", title: said.limits, wraps: true, show: (one) => limits(one) },
    {
      name: "state",
      title: said.state,
      by: (one) => one.state,
      show: (one) => <span class={one.state === "disabled" ? "trouble" : ""}>{word(said.states, one.state)}</span>,
    },
    { name: "factor", title: said.factor, show: (one) => word(said.factors, one.second_factor) },
    { name: "made", title: said.made, by: (one) => one.created_at, show: (one) => <Time at={one.created_at} /> },
    { name: "seen", title: said.seen, by: (one) => one.seen_at ?? null, show: (one) => <Time at={one.seen_at} /> },
    {
      name: "tools",
      title: t().act.bar,
      show: (one) =>
        mayManage() &&
        one.name !== session.user && (
          <button type="button" class="button" onClick={() => setOpen(one)}>
            {said.change}
          </button>
        ),
    },
  ];
  if (error) return <Failed error={error} again={again} />;
  if (!data) return <Loading />;
  return (
    <>
      {mayManage() && open === null && (
        <p class="row-of-tools">
          <button type="button" class="button" onClick={() => setOpen("new")}>
            {said.add}
          </button>
        </p>
      )}
      {open !== null && (
        <Edit
          key={open === "new" ? "" : open.name}
          of={open === "new" ? null : open}
          done={done}
          cancel={() => setOpen(null)}
        />
      )}
      {data.users.length === 0 && <Empty title={said.empty} />}
      {data.users.length > 0 && (
        <Table
          label={said.tabs.users}
          columns={columns}
          rows={sorted(data.users, columns, "name")}
          id={(one) => one.name}
          first="name"
          dim={(one) => one.state === "disabled"}
        />
      )}
    </>
  );
}

function limits(of: User): string {
  const said = t().users;
  const parts = [
    ...(of.units.length > 0 ? [`${t().budget.unit} ${of.units.join("、")}`] : []),
    ...(of.regions.length > 0 ? [`${t().budget.region} ${of.regions.join("、")}`] : []),
  ];
  return parts.join(" · ") || said.unlimited;
}

const words = (text: string) => text.split(/[\s,，、]+/).filter(Boolean);

/** A user to be added or changed; what was typed stays until it is done. */
function Edit({ of, done, cancel }: { of: User | null; done: () => void; cancel: () => void }) {
  const said = t().users;
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [roles, setRoles] = useState<string[]>(of?.roles ?? ["officer"]);
  const [units, setUnits] = useState(of?.units.join(" ") ?? "");
  const [regions, setRegions] = useState(of?.regions.join(" ") ?? "");
  const [trouble, setTrouble] = useState("");
  const attempt = async (work: () => Promise<unknown>) => {
    setTrouble("");
    try {
      await work();
      done();
    } catch (error) {
      setTrouble((error as Error).message);
    }
  };
  const change = (body: object) => attempt(() => send("PATCH", `/users/${encodeURIComponent(of!.name)}`, body));
  const may = { roles, units: words(units), regions: words(regions) };
  const submit = () =>
    of
      ? change({ ...may, ...(password ? { password } : {}) })
      : attempt(() => send("POST", "/users", { name: name.trim(), ...may, ...(password ? { password } : {}) }));
  return (
    <Panel title={of ? `${said.change} ${of.name}` : said.add}>
      <form
        class="form"
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        {!of && (
          <label>
            <span>{said.name}</span>
            <input value={name} required maxLength={100} onInput={(event) => setName(event.currentTarget.value)} />
          </label>
        )}
        <label>
          <span>{of ? said.newPassword : said.password}</span>
          <input
            type="password"
            value={password}
            autoComplete="new-password"
            onInput={(event) => setPassword(event.currentTarget.value)}
          />
          <small>{said.passwordHint}</small>
        </label>
        <label>
          <span>{said.units}</span>
          <input value={units} onInput={(event) => setUnits(event.currentTarget.value)} />
          <small>{said.limitsHint}</small>
        </label>
        <label>
          <span>{said.regions}</span>
          <input value={regions} onInput={(event) => setRegions(event.currentTarget.value)} />
        </label>
        <fieldset class="is-wide choices">
          <legend>{said.roles}</legend>
          {ROLES.map((role) => (
            <label key={role} class="inline" title={said.roleHint[role]}>
              <input
                type="checkbox"
                checked={roles.includes(role)}
                onChange={(event) =>
                  setRoles(event.currentTarget.checked ? [...roles, role] : roles.filter((one) => one !== role))
                }
              />
              <span>{word(said.role, role)}</span>
            </label>
          ))}
        </fieldset>
        <div class="form-foot">
          {trouble && (
            <span class="trouble" role="alert">
              {trouble}
            </span>
          )}
          {of && <small class="faint">{said.endsSessions}</small>}
          {of && of.second_factor === "on" && (
            <button type="button" class="button" onClick={() => void change({ reset_second_factor: true })}>
              {said.resetFactor}
            </button>
          )}
          {of && (
            <button type="button" class="button" onClick={() => void change({ enabled: of.state === "disabled" })}>
              {of.state === "disabled" ? said.enable : said.disable}
            </button>
          )}
          <button type="button" class="button" onClick={cancel}>
            {t().act.cancel}
          </button>
          <button type="submit" class="button is-main" disabled={roles.length === 0}>
            {of ? said.save : said.add}
          </button>
        </div>
      </form>
    </Panel>
  );
}
