import { useQuery } from '@tanstack/react-query';
import { useCallback } from 'react';
import { useTranslation } from 'react-i18next';

import type { Setting } from './settings';

/** What is told of settings: the gateway has it in English, the page in other languages. */
export function useAbout(): (setting: Setting) => string {
  const { i18n } = useTranslation();
  const chinese = i18n.language === 'zh';
  const { data } = useQuery({
    queryKey: ['words', 'settings', i18n.language],
    queryFn: async () => (await import('./about.zh.json')).default as Record<string, string>,
    enabled: chinese,
    staleTime: Infinity,
  });
  return useCallback((setting: Setting) => (chinese ? data?.[setting.path] : undefined) ?? setting.about, [chinese, data]);
}
