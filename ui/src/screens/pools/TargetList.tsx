import { type Announcements, closestCenter, DndContext, type DragEndEvent, KeyboardSensor, PointerSensor, useSensor, useSensors } from '@dnd-kit/core';
import { restrict } from './restrict';
import { SortableContext, sortableKeyboardCoordinates, useSortable, verticalListSortingStrategy } from '@dnd-kit/sortable';
import { CSS } from '@dnd-kit/utilities';
import { ActionIcon, NumberInput, Stack, Text, Tooltip } from '@mantine/core';
import { IconGripVertical, IconX } from '@tabler/icons-react';
import { useMemo, useRef } from 'react';
import { useTranslation } from 'react-i18next';

import { useFormat } from '../../widgets/format';
import { colourOf } from './colours';
import { moved, placeOf, providerOf, type Row, tidy } from './pool';
import classes from './Pools.module.css';

interface Props {
  rows: Row[];
  onChange: (rows: Row[], joins?: boolean) => void;
  shares: Map<string, number>;
  providers: string[];
  /** Mistakes by the place of the target, as the gateway told them. */
  errors: Record<number, string>;
  /** The order matters by itself, not only between priorities. */
  ordered: boolean;
  readOnly?: boolean;
}

/** The targets of a pool by priority: dragged, or moved with the keyboard, past the head of a group into another priority. */
export function TargetList({ rows, onChange, shares, providers, errors, ordered, readOnly }: Props) {
  const { t } = useTranslation(['pools', 'common']);
  const sensors = useSensors(useSensor(PointerSensor, { activationConstraint: { distance: 4 } }), useSensor(KeyboardSensor, { coordinateGetter: sortableKeyboardCoordinates }));
  const nameOf = (id: unknown) => placeOf(rows, String(id))?.row.target ?? '';
  /** Where a row would be if it were dropped here. */
  const told = (id: unknown, over: unknown) => {
    const placed = placeOf(over === undefined ? rows : moved(rows, String(id), String(over)), String(id));
    return placed ? { target: placed.row.target, priority: placed.priority, place: placed.place, of: placed.of } : null;
  };
  // It begins over its own place, which is no news.
  const away = useRef(false);
  const announcements = useMemo<Announcements>(
    () => ({
      onDragStart: ({ active }) => {
        away.current = false;
        return t('drag.start', told(active.id, undefined) ?? {});
      },
      onDragOver: ({ active, over }) => {
        if (!over) return t('drag.away', { target: nameOf(active.id) });
        away.current ||= over.id !== active.id;
        return away.current ? t('drag.over', told(active.id, over.id) ?? {}) : undefined;
      },
      onDragEnd: ({ active, over }) => (over ? t('drag.end', told(active.id, over.id) ?? {}) : t('drag.cancel', { target: nameOf(active.id) })),
      onDragCancel: ({ active }) => t('drag.cancel', { target: nameOf(active.id) }),
    }),
    // What is told follows the rows and the language.
    [rows, t],
  );
  const end = ({ active, over }: DragEndEvent) => {
    if (over && over.id !== active.id) onChange(moved(rows, String(active.id), String(over.id)));
  };
  let place = -1;
  return (
    <DndContext
      sensors={sensors}
      collisionDetection={closestCenter}
      modifiers={[restrict]}
      onDragEnd={end}
      accessibility={{ announcements, screenReaderInstructions: { draggable: t('drag.how') } }}
    >
      <SortableContext items={rows.map((row) => row.id)} strategy={verticalListSortingStrategy} disabled={readOnly}>
        <Stack gap={6}>
          {rows.map((row, at) => {
            if (row.kind === 'group') return <Head key={row.id} row={row} first={at === 0} spare={at > 0 && at === rows.length - 1} empty={rows.length === 1} hidden={readOnly && at > 0 && at === rows.length - 1} />;
            place += 1;
            return (
              <Target
                key={row.id}
                row={row}
                share={shares.get(row.id)}
                colour={colourOf(providers, providerOf(row.target))}
                error={errors[place]}
                readOnly={readOnly}
                weighted={!ordered}
                onWeight={(weight) => onChange(rows.map((other) => (other.id === row.id ? { ...row, weight } : other)), true)}
                onRemove={() => onChange(tidy(rows.filter((other) => other.id !== row.id)))}
              />
            );
          })}
        </Stack>
      </SortableContext>
    </DndContext>
  );
}

function Head({ row, first, spare, empty, hidden }: { row: Row & { kind: 'group' }; first: boolean; spare: boolean; empty: boolean; hidden?: boolean }) {
  const { t } = useTranslation(['pools', 'common']);
  const { setNodeRef, transform, transition } = useSortable({ id: row.id, disabled: { draggable: true, droppable: false } });
  const style = { transform: CSS.Translate.toString(transform), transition };
  if (hidden) return null;
  return spare ? (
    <div ref={setNodeRef} style={style} className={classes.spare}>
      {t('list.spare')}
    </div>
  ) : (
    <div ref={setNodeRef} style={style} className={classes.head}>
      <span>{t('list.priority', { priority: row.priority })}</span>
      <Text span size="xs" c="dimmed" fw={400}>
        {empty ? t('list.empty') : first ? t('list.first') : t('list.later')}
      </Text>
    </div>
  );
}

interface TargetProps {
  row: Row & { kind: 'target' };
  share?: number;
  colour: string;
  error?: string;
  readOnly?: boolean;
  weighted: boolean;
  onWeight: (weight: number) => void;
  onRemove: () => void;
}

function Target({ row, share, colour, error, readOnly, weighted, onWeight, onRemove }: TargetProps) {
  const { t } = useTranslation(['pools', 'common']);
  const format = useFormat();
  const { attributes, listeners, setNodeRef, setActivatorNodeRef, transform, transition, isDragging } = useSortable({ id: row.id });
  return (
    <div ref={setNodeRef} style={{ transform: CSS.Translate.toString(transform), transition, position: 'relative' }} className={classes.row} data-dragging={isDragging || undefined} data-target={row.target}>
      {readOnly ? (
        <span />
      ) : (
        <span ref={setActivatorNodeRef} className={classes.handle} {...attributes} {...listeners} aria-label={t('list.move', { target: row.target })} aria-roledescription={t('drag.role')} data-mantine-stop-propagation={isDragging || undefined}>
          <IconGripVertical size={16} />
        </span>
      )}
      <div>
        <div className={classes.target}>
          <span className={classes.dot} style={{ background: `var(--mantine-color-${colour}-6)` }} />
          <bdi>{row.target}</bdi>
        </div>
        {error && (
          <Text size="xs" c="red.9" role="alert">
            {error}
          </Text>
        )}
      </div>
      {weighted ? (
        <NumberInput
          size="xs"
          value={row.weight}
          onChange={(value) => typeof value === 'number' && Number.isInteger(value) && value >= 1 && onWeight(value)}
          min={1}
          max={65535}
          allowDecimal={false}
          allowNegative={false}
          clampBehavior="blur"
          disabled={readOnly}
          aria-label={t('list.weightOf', { target: row.target })}
        />
      ) : (
        <span />
      )}
      <Text size="xs" c="dimmed" ta="right" className={classes.share}>
        {share === undefined ? '' : format.percent(share)}
      </Text>
      {readOnly ? (
        <span />
      ) : (
        <Tooltip label={t('list.remove')}>
          <ActionIcon variant="subtle" color="gray" onClick={onRemove} aria-label={t('list.removeOf', { target: row.target })}>
            <IconX size={16} />
          </ActionIcon>
        </Tooltip>
      )}
    </div>
  );
}
