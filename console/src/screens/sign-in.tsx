import { epoch, refused } from "../api/client";
import { t } from "../text";

/** What is shown where the daemon wants to know who asks: a proxy in front signs people in. */
export function SignIn() {
  return (
    <main class="sign-in">
      <h1>{t().product}</h1>
      <p role="alert">{t().signIn.unknown}</p>
      <button
        type="button"
        class="button is-main"
        onClick={() => {
          refused.value = false;
          epoch.value += 1;
        }}
      >
        {t().link.tryAgain}
      </button>
    </main>
  );
}
