import i18next from 'i18next';
import { initReactI18next } from 'react-i18next';

import { patiently } from '../api/parts';

/** The languages of the page. */
export const LANGUAGES = { en: 'English', zh: '简体中文' } as const;
export type Language = keyof typeof LANGUAGES;

const KEPT = 'polyport.language';

// `common` stands in locales/, the words of a screen beside it, and each file is fetched when it is needed.
const files = {
  ...import.meta.glob<Record<string, unknown>>('../locales/*.json', { import: 'default' }),
  ...import.meta.glob<Record<string, unknown>>('../screens/*/{en,zh}.json', { import: 'default' }),
};

function isLanguage(text: string): text is Language {
  return text in LANGUAGES;
}

function preferred(): Language {
  const kept = localStorage.getItem(KEPT) ?? '';
  if (isLanguage(kept)) return kept;
  return navigator.languages.map((tag) => tag.split('-')[0] ?? '').find(isLanguage) ?? 'en';
}

/** Starts the translation; words that a screen needs are waited for with Suspense. */
export async function startLanguage(): Promise<void> {
  document.documentElement.lang = tagOf(preferred());
  await i18next
    .use({
      type: 'backend' as const,
      init: () => undefined,
      read: (language: string, namespace: string, done: (error: Error | null, words: Record<string, unknown> | null) => void) => {
        const load = files[namespace === 'common' ? `../locales/${language}.json` : `../screens/${namespace}/${language}.json`];
        if (!load) return done(new Error(`no words of ${namespace} in ${language}`), null);
        patiently(load).then((words) => done(null, words), (error: Error) => done(error, null));
      },
    })
    .use(initReactI18next)
    .init({
      lng: preferred(),
      supportedLngs: Object.keys(LANGUAGES),
      fallbackLng: 'en',
      ns: ['common'],
      defaultNS: 'common',
      interpolation: { escapeValue: false },
      returnNull: false,
    });
}

/** Changes the language, now and for the next visit. */
export async function setLanguage(language: Language): Promise<void> {
  localStorage.setItem(KEPT, language);
  await i18next.changeLanguage(language);
  document.documentElement.lang = tagOf(language);
}

/** The tag for `lang` attributes. */
export function tagOf(language: string): string {
  return language === 'zh' ? 'zh-CN' : 'en';
}

/** The tag that numbers and times are written by: that of the reader's own region, where the browser names one for this language and its script. */
export function formatTagOf(language: string, preferred: readonly string[]): string {
  const tag = tagOf(language);
  const own = writing(tag);
  return preferred.find((tag) => writing(tag) === own) ?? tag;
}

/** `en-Latn`: the language and its script; `null` of what is no tag. */
function writing(tag: string): string | null {
  try {
    const { language, script } = new Intl.Locale(tag).maximize();
    return `${language}-${script}`;
  } catch {
    return null;
  }
}
