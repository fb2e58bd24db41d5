import { Card, Group, Title } from '@mantine/core';
import type { ReactNode } from 'react';

/** A part of a screen with a border of its own. */
export function Panel({ title, actions, children, p }: { title?: ReactNode; actions?: ReactNode; children: ReactNode; p?: string | number }) {
  return (
    <Card withBorder padding={p ?? 'md'} style={{ background: 'var(--app-panel)', borderColor: 'var(--app-line)' }}>
      {(title || actions) && (
        <Group justify="space-between" mb="sm" gap="xs">
          {title && <Title order={2}>{title}</Title>}
          {actions && <Group gap="xs">{actions}</Group>}
        </Group>
      )}
      {children}
    </Card>
  );
}
