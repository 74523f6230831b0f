import { query, withParams } from "../../router";
import { session } from "../../api/session";
import { t } from "../../text";
import { Heading } from "../../ui/parts";
import { People } from "./people";
import { Sessions } from "./sessions";
import { Tokens } from "./tokens";

const TABS = ["", "sessions", "tokens"] as const;

/** Who is known, who is here now, and which programs may come in. */
export function Users() {
  const said = t().users;
  const tab = query.value.get("tab") ?? "";
  return (
    <div>
      <Heading title={said.title} lead={mayManage() ? null : said.readOnly} />
      <nav class="tabs" aria-label={said.title}>
        {TABS.map((name) => (
          <a key={name} href={withParams({ tab: name })} aria-current={tab === name ? "page" : undefined}>
            {said.tabs[name === "" ? "users" : name]}
          </a>
        ))}
      </nav>
      {tab === "sessions" ? <Sessions /> : tab === "tokens" ? <Tokens /> : <People />}
    </div>
  );
}

/** Whether whoever is here may change any of it: where nobody signs in, nobody could be named for it. */
export const mayManage = (): boolean => session.user !== null && session.may("users.manage");
