import { Button, Text } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import { Code } from '../../widgets/Copy';
import { curlLine } from '../../widgets/curl';
import { SecretDialog } from '../../widgets/SecretDialog';
import { useModelNames } from '../../widgets/rules/RulesFields';
import { sample } from '../routes/pattern';
import type { Key } from './key';

/** The text of a key, right after it was made or replaced: kept nowhere, so it is gone when this closes. */
export function KeyMade({ made, rotated, onClose }: { made: Key; rotated: boolean; onClose: () => void }) {
  const { t } = useTranslation(['keys', 'common']);
  const text = made.key ?? '';
  // One that the key may ask for.
  const names = useModelNames(made.models.length > 0);
  const curl = curlLine(window.location.origin, made.models[0] === undefined ? 'echo' : sample(made.models[0], [], names), text);
  return (
    <SecretDialog
      title={rotated ? t('rotated', { name: made.name }) : t('made', { name: made.name })}
      secret={text}
      label={t('key')}
      onClose={onClose}
      actions={
        <Button component={Link} to="/connect" variant="default">
          {t('common:screens.connect')}
        </Button>
      }
    >
      {(taken) => (
        <>
          <Text size="sm">{t('tryIt')}</Text>
          <Code text={curl} label={t('tryIt')} onCopied={taken} />
        </>
      )}
    </SecretDialog>
  );
}
