import type { Limit } from '../types.ts'

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Go-style duration (`14h`, `1h30m`, `500ms`, `0`) in milliseconds; undefined when it is none. */
export function parseDuration(text: string): number | undefined {
  if (text === '0') return 0
  const parts = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+$/.test(text)
    ? text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)
    : undefined
  if (!parts) return undefined
  let total = 0
  for (const [, amount, unit] of parts) total += Number(amount) * (UNITS[unit ?? ''] ?? Number.NaN)
  return Math.round(total)
}

/** As it is written in a configuration: `30s`, `1h30m`. */
function formatDuration(milliseconds: number): string {
  let left = milliseconds
  let text = ''
  for (const [unit, size] of [
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1000],
    ['ms', 1],
  ] as const) {
    const count = Math.floor(left / size)
    left -= count * size
    if (count > 0) text += `${count}${unit}`
  }
  return text || '0s'
}

/** For messages: `timeout (30s)`. */
export function describeLimit({ span, key }: Limit): string {
  return `${key} (${formatDuration(span)})`
}

/** For people, who round: `14 hours` from a second less, `90 minutes`, `1 hour`. Never more than a fifth off, seconds apart. */
export function describeDuration(milliseconds: number): string {
  for (const [unit, size] of [
    ['day', 86_400_000],
    ['hour', 3_600_000],
    ['minute', 60_000],
    ['second', 1000],
  ] as const) {
    const count = Math.round(milliseconds / size)
    const isNear = size === 1000 || Math.abs(count * size - milliseconds) <= milliseconds / 5
    if (isNear && milliseconds >= 0.95 * size) return `${count} ${unit}${count === 1 ? '' : 's'}`
  }
  return 'less than a second'
}
