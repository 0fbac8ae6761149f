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

/** For people: `2 minutes`, `1 hour`. */
export function describeDuration(milliseconds: number): string {
  for (const [unit, size] of [
    ['day', 86_400_000],
    ['hour', 3_600_000],
    ['minute', 60_000],
    ['second', 1000],
  ] as const) {
    if (milliseconds >= size) {
      const count = Math.floor(milliseconds / size)
      return `${count} ${unit}${count === 1 ? '' : 's'}`
    }
  }
  return 'less than a second'
}
