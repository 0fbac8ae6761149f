import { expect, test } from 'vitest'
import { checkFiles } from '../../../cmd/postern/checks/files.ts'
import type { Setting } from '../../../src/config/load.ts'

test('the work grows with the settings, and not with their square', () => {
  let reads = 0
  const settings = Array.from({ length: 500 }, (_, i): Setting => {
    const path = ['routes', i, 'prefix']
    const source = { kind: 'file', file: '/nowhere/config.yaml', at: { line: i + 1, column: 1 } } as const
    return {
      get path() {
        reads++
        return path
      },
      value: `/p${i}/`,
      source,
    }
  })
  expect(checkFiles('/nowhere/config.yaml', new Set(), settings)).toEqual([])
  expect(reads).toBeLessThan(5 * settings.length)
})
