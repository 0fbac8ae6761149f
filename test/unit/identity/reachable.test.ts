import { expect, test } from 'vitest'
import { reachable } from '../../../src/identity/reachable.ts'
import { manualClock } from '../../support/clock.ts'

const URL_WITH_CODE = 'https://idp.test/token?code=hidden'
const init = { method: 'POST', headers: {}, signal: new AbortController().signal }

test('a provider is in trouble from the first call in a row that failed until one that did not', async () => {
  const clock = manualClock()
  let next: () => number = () => 200
  const { send, trouble } = reachable(async () => ({ status: next(), headers: {}, body: [] }) as never, clock)
  expect(trouble()).toBeUndefined()
  await send(URL_WITH_CODE, init)
  expect(trouble()).toBeUndefined()
  next = () => {
    throw new Error('connect ECONNREFUSED')
  }
  const since = clock.now()
  await expect(send(URL_WITH_CODE, init)).rejects.toThrow('ECONNREFUSED')
  expect(trouble()).toEqual({ since, reason: 'POST https://idp.test/token: connect ECONNREFUSED' })
  clock.advance(1000)
  next = () => 503
  await send(URL_WITH_CODE, init)
  expect(trouble()).toEqual({ since, reason: 'POST https://idp.test/token answered 503' })
  // It is there, and does not like what it was asked.
  next = () => 401
  await send(URL_WITH_CODE, init)
  expect(trouble()).toBeUndefined()
})
