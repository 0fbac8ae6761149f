import { describe, expect, test } from 'vitest'
import { countsOf, type Metric, textOf, together } from '../../../src/server/exposition.ts'
import { createRegistry, type Registry } from '../../../src/server/registry.ts'

/** What two processes say, together. */
async function ofTwo(first: (registry: Registry) => void, second: (registry: Registry) => void): Promise<string> {
  const processes = await Promise.all(
    [first, second].map((fill): Promise<readonly Metric[]> => {
      const registry = createRegistry()
      fill(registry)
      return registry.read()
    }),
  )
  return textOf(together(processes))
}

describe('metrics of several processes', () => {
  test('counts with the same labels add up, and those that one process alone has stay', async () => {
    const counting =
      (...counts: readonly (readonly [reason: string, times: number])[]) =>
      (registry: Registry) => {
        const errors = registry.counter('errors_total', 'Errors.', ['route', 'reason'])
        for (const [reason, times] of counts) for (let n = 0; n < times; n++) errors(['a "b"', reason])()
      }
    expect(await ofTwo(counting(['reset', 2], ['busy', 1]), counting(['reset', 3]))).toBe(
      `# HELP postern_errors_total Errors.
# TYPE postern_errors_total counter
postern_errors_total{route="a \\"b\\"",reason="reset"} 5
postern_errors_total{route="a \\"b\\"",reason="busy"} 1
`,
    )
  })

  test('histograms add up bucket by bucket', async () => {
    const observing = (seconds: number) => (registry: Registry) =>
      registry.histogram('seconds', 'Time.', []).series().observe(seconds)
    const text = await ofTwo(observing(0.003), observing(7))
    expect(text).toContain('postern_seconds_bucket{le="0.005"} 1\n')
    expect(text).toContain('postern_seconds_bucket{le="+Inf"} 2\n')
    expect(text).toContain('postern_seconds_sum 7.003\n')
    expect(text).toContain('postern_seconds_count 2\n')
  })

  test.each([
    ['sum', 5],
    ['min', 1],
    ['max', 4],
  ] as const)('a gauge is the %s of all', async (combine, expected) => {
    const showing = (value: number) => (registry: Registry) =>
      registry.gauge('value', 'A\nvalue.', () => value, combine)
    expect(await ofTwo(showing(4), showing(1))).toBe(
      `# HELP postern_value A\\nvalue.\n# TYPE postern_value gauge\npostern_value ${expected}\n`,
    )
  })

  test('of a process that has ended the counts stay, and nothing else', async () => {
    const registry = createRegistry()
    registry.counter('errors_total', 'Errors.', [])([])()
    registry.gauge('value', 'A value.', () => 1)
    expect(countsOf(await registry.read()).map(({ name }) => name)).toEqual(['postern_errors_total'])
  })
})

test('the process is measured when it is asked for, by the names that Prometheus knows', async () => {
  const registry = createRegistry()
  await registry.observeProcess()
  const text = textOf(await registry.read())
  expect(text).toMatch(/^# TYPE postern_process_cpu_seconds_total counter\npostern_process_cpu_seconds_total [\d.]+$/m)
  expect(text).toMatch(/^postern_nodejs_heap_space_size_used_bytes\{space="new"\} \d+$/m)
  expect(text).toMatch(/^# TYPE postern_nodejs_gc_duration_seconds histogram$/m)
})
