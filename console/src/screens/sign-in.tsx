import { signal } from "@preact/signals";
import { refused } from "../api/client";
import { t } from "../text";

/** Why nothing is shown, as the daemon said it. */
export const reason = signal("");

/** What is shown where the daemon wants to know who asks. */
export function SignIn() {
  return (
    <main class="sign-in">
      <h1>{t().product}</h1>
      <p role="alert">{reason.value}</p>
      <button type="button" class="button is-main" onClick={() => (refused.value = false)}>
        {t().link.tryAgain}
      </button>
    </main>
  );
}
