import type { Span } from '../../widgets/range';

export const SPANS_SHOWN: Span[] = ['15m', '1h', '6h', '24h', '7d', '30d'];
export const USUAL: Span = '1h';
