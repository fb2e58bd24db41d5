import { UnstyledButton } from '@mantine/core';
import type { ReactNode } from 'react';

import classes from './Statistics.module.css';

export interface Figure {
  name: string;
  value: ReactNode;
  /** Colour of the dot beside the name. */
  colour?: string;
  /** What the list is narrowed to by a click; the same again takes it back. */
  onPick?: () => void;
  picked?: boolean;
}

/** Some figures in a row; those that can be picked are buttons. */
export function Figures({ figures, label }: { figures: Figure[]; label: string }) {
  return (
    <div className={classes.strip} role="group" aria-label={label}>
      {figures.map(({ name, value, colour, onPick, picked }) => {
        const inner = (
          <>
            <div className={classes.value}>{value}</div>
            <div className={classes.name}>
              {colour && <span className={classes.dot} style={{ background: `var(--mantine-color-${colour}-6)` }} />}
              {name}
            </div>
          </>
        );
        return onPick ? (
          <UnstyledButton key={name} className={classes.figure} data-pick onClick={onPick} aria-pressed={picked}>
            {inner}
          </UnstyledButton>
        ) : (
          <div key={name} className={classes.figure}>
            {inner}
          </div>
        );
      })}
    </div>
  );
}
