// Accounts and names of persons as a whole: a right, a click, and a record in the audit log.
import { epoch, wholeOn } from "../api/client";
import { session } from "../api/session";
import { path } from "../router";
import { t } from "../text";

/** Shows them on this page. Nobody masks where nobody is known. */
export function Whole() {
  if (session.user === null || !session.may("personal.show")) return null;
  const isShown = wholeOn.value === path.value;
  return (
    <button
      type="button"
      class="plain"
      aria-pressed={isShown}
      title={t().top.wholeHint}
      onClick={() => {
        wholeOn.value = isShown ? null : path.value;
        epoch.value += 1;
      }}
    >
      {isShown ? t().top.masked : t().top.whole}
    </button>
  );
}
