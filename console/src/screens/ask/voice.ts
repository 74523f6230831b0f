// Listening, where the browser can: what it hears is only written into the field, and asked when somebody says so.

interface Heard {
  results: ArrayLike<ArrayLike<{ transcript: string }>>;
}
interface Recognition {
  lang: string;
  interimResults: boolean;
  onresult: ((event: Heard) => void) | null;
  onend: (() => void) | null;
  onerror: (() => void) | null;
  start: () => void;
  abort: () => void;
}
type Made = new () => Recognition;

export interface Hearing {
  stop: () => void;
}

const made = (): Made | undefined => {
  const place = window as unknown as { SpeechRecognition?: Made; webkitSpeechRecognition?: Made };
  return place.SpeechRecognition ?? place.webkitSpeechRecognition;
};

export const hearing = {
  isThere: (): boolean => made() !== undefined,
  start(language: string, onText: (text: string) => void, onEnd: () => void): Hearing | null {
    const Recognition = made();
    if (!Recognition) return null;
    const ear = new Recognition();
    ear.lang = language;
    ear.interimResults = true;
    ear.onresult = ({ results }) => onText(Array.from(results, (result) => result[0]?.transcript ?? "").join(""));
    ear.onend = onEnd;
    ear.onerror = onEnd;
    try {
      ear.start();
    } catch {
      return null;
    }
    return {
      stop: () => {
        ear.onend = null;
        ear.abort();
      },
    };
  },
};
