import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { createRows } from '../../../src/directory/scim/rows.ts'

interface Row {
  readonly id: string
  readonly createdAt: number
  readonly changedAt: number
}

const rowsOf = () => createRows<Row, never>({})
const row = (id: string, createdAt: number): Row => ({ id, createdAt, changedAt: createdAt })

test('pages are those of a list sorted by creation, whatever comes and goes', () => {
  const step = fc.tuple(fc.constantFrom('set', 'set', 'delete'), fc.nat(40), fc.nat(9))
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), fc.nat(45), fc.nat(45), (steps, start, count) => {
      const rows = rowsOf()
      const model = new Map<string, Row>()
      for (const [what, id, at] of steps) {
        if (what === 'set') rows.set(row(`${id}`, at))
        else rows.delete(`${id}`)
        if (what === 'set') model.set(`${id}`, row(`${id}`, at))
        else model.delete(`${id}`)
      }
      const sorted = [...model.values()].sort((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1))
      expect(rows.page(start, count)).toEqual(sorted.slice(start, start + count))
      expect(rows.size).toBe(sorted.length)
    }),
  )
})

test('5,000 that come in any order are paged whole, before and after half of them go', () => {
  const rows = rowsOf()
  const ids = Array.from({ length: 5000 }, (_, number) => `${(number * 1999) % 5000}`)
  for (const id of ids) rows.set(row(id, Number(id)))
  expect(rows.page(0, 5000).map(({ createdAt }) => createdAt)).toEqual(Array.from({ length: 5000 }, (_, at) => at))
  for (const id of ids) if (Number(id) % 2 === 0) rows.delete(id)
  expect(rows.page(1000, 3).map(({ id }) => id)).toEqual(['2001', '2003', '2005'])
  expect(rows.page(2499, 10).map(({ id }) => id)).toEqual(['4999'])
})
