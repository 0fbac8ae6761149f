import { expect, test } from 'vitest'
import type { Route } from '../../../src/config/route-model.ts'
import type { Authenticator } from '../../../src/http/exchange.ts'
import type { Asker } from '../../../src/policy/model.ts'
import { FOREVER } from '../../../src/lib/time.ts'
import { identify } from '../../../src/proxy/identify.ts'
import { facts } from '../upstream/support.ts'

const route = { policy: { kind: 'rules' } } as unknown as Route
const ann = { kind: 'session', person: 'ann' } as unknown as Asker
const token = { kind: 'token', person: 'ann' } as unknown as Asker

/** Gives these one after the other, the last one again and again. */
function gives(...answers: readonly (Asker | Promise<Asker>)[]) {
  let asked = 0
  const made: Authenticator = { identify: () => answers[Math.min(asked++, answers.length - 1)] }
  return { made, asked: () => asked }
}

async function found(...of: readonly ReturnType<typeof gives>[]) {
  const who = await identify(
    of.map(({ made }) => made),
    facts(),
    route,
    FOREVER,
    {},
  )
  return { who, asked: of.map(({ asked }) => asked()) }
}

test('the only credential is asked for once, although it was waited for', async () => {
  expect(await found(gives(Promise.resolve(ann)), gives(undefined))).toEqual({ who: ann, asked: [1, 1] })
  expect(await found(gives(undefined), gives(Promise.resolve(ann)))).toEqual({ who: ann, asked: [1, 1] })
  expect(await found(gives(Promise.resolve(undefined)), gives(ann))).toEqual({ who: ann, asked: [1, 1] })
})

test.each([
  ['at hand', ann],
  ['read', Promise.resolve(ann)],
])('a credential, %s, that ends while another is waited for counts no more', async (_, first) => {
  const { who, asked } = await found(gives(first, undefined), gives(Promise.resolve(token), token))
  expect({ who, asked }).toEqual({ who: token, asked: [2, 2] })
  expect((await found(gives(first, undefined), gives(Promise.resolve(undefined)))).who).toBeUndefined()
})

test('nobody is looked at three times, however often they have to be waited for', async () => {
  const slow = gives(Promise.resolve(token))
  expect(await found(gives(ann), slow)).toMatchObject({ who: ann, asked: [2, 2] })
})
