import { expect, test } from 'vitest'
import { textOf } from '../../../src/server/exposition.ts'
import { createHistogram } from '../../../src/server/histogram.ts'

test('observations are counted in every bucket that holds them, in the order that Prometheus expects', () => {
  const histogram = createHistogram('seconds', 'How long.', ['route'])
  const series = histogram.series('a "quoted"\\name')
  for (const seconds of [0.001, 0.005, 0.02, 99]) series.observe(seconds)
  const lines = textOf([histogram.metric()]).split('\n')
  expect(lines.slice(0, 2)).toEqual(['# HELP seconds How long.', '# TYPE seconds histogram'])
  expect(lines).toContain('seconds_bucket{le="0.005",route="a \\"quoted\\"\\\\name"} 2')
  expect(lines).toContain('seconds_bucket{le="0.01",route="a \\"quoted\\"\\\\name"} 2')
  expect(lines).toContain('seconds_bucket{le="0.025",route="a \\"quoted\\"\\\\name"} 3')
  expect(lines).toContain('seconds_bucket{le="10",route="a \\"quoted\\"\\\\name"} 3')
  expect(lines).toContain('seconds_bucket{le="+Inf",route="a \\"quoted\\"\\\\name"} 4')
  expect(lines).toContain('seconds_count{route="a \\"quoted\\"\\\\name"} 4')
  expect(histogram.series('a "quoted"\\name')).toBe(series)
})
