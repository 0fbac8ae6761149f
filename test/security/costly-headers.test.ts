import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createGauntlet, type Gauntlet, request } from '../support/gauntlet.ts'

/** Milliseconds of processor time for four requests. They took 200 to 1300. */
const MOST = 120
const REQUESTS = 4
const BLANKS = ' '.repeat(31_000)
const COSTLY: Readonly<Record<string, string>> = {
  'Connection with blanks inside': `Connection: a${BLANKS}b`,
  'Connection with tabs inside': `Connection: a${'\t'.repeat(31_000)}b`,
  'Accept with a thousand pages and a light weight': `Accept: ${'text/html '.repeat(1_500)};q=0${'; '.repeat(7_500)}`,
  'X-Forwarded-For with blanks inside': `X-Forwarded-For: a${BLANKS}b`,
}

describe('headers that regular expressions read in quadratic time', () => {
  let gauntlet: Gauntlet
  beforeAll(async () => {
    gauntlet = await createGauntlet({ people: [], config: { trusted_proxies: ['127.0.0.1/32'] } })
  })
  afterAll(() => gauntlet.close())

  it.each(Object.entries(COSTLY))('%s', async (_, line) => {
    const costs: number[] = []
    // The least of a few: the collector of garbage has its turns.
    for (let round = 0; round < 3 && !costs.some((cost) => cost < MOST); round++) {
      const before = process.cpuUsage()
      for (let sent = 0; sent < REQUESTS; sent++) {
        const { statuses } = await gauntlet.send(request('GET', '/user', line))
        expect(statuses).toHaveLength(1)
      }
      const { user, system } = process.cpuUsage(before)
      costs.push((user + system) / 1000)
    }
    expect(Math.min(...costs)).toBeLessThan(MOST)
  })
})
