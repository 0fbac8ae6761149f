import { expect, onTestFinished, test } from 'vitest'
import { createToldTrouble, type ToldTrouble } from '../../../src/directory/told-trouble.ts'
import { createMemoryStore } from '../../../src/store/memory.ts'
import { manualClock } from '../../support/clock.ts'

const ISSUER = 'https://corp.okta.com'

function processes(): { readonly leader: ToldTrouble; readonly follower: ToldTrouble; readonly foreign: ToldTrouble } {
  const clock = manualClock()
  const store = createMemoryStore({ clock })
  const open = (issuer: string): ToldTrouble => {
    const told = createToldTrouble({ issuer, store, clock })
    onTestFinished(() => told.close())
    return told
  }
  return { leader: open(ISSUER), follower: open(ISSUER), foreign: open('https://other.okta.com') }
}

const trouble = { at: manualClock().now(), code: 'ERR_DIRECTORY_UNAUTHORIZED', message: 'okta: 401' } as const

test('what the leader tells is heard by whoever follows the same issuer, and no more once it is over', async () => {
  const { leader, follower, foreign } = processes()
  await follower.start()
  await foreign.start()
  leader.tell(trouble)
  await expect.poll(() => follower.heard()).toEqual(trouble)
  expect(foreign.heard()).toBeUndefined()
  leader.tell(undefined)
  await expect.poll(() => follower.heard()).toBeUndefined()
})

test('who comes later hears of it, and news stay in their order', async () => {
  const { leader, follower } = processes()
  leader.tell(undefined)
  leader.tell({ ...trouble, code: 'ERR_DIRECTORY_FORBIDDEN' })
  leader.tell(trouble)
  await leader.close()
  await follower.start()
  expect(follower.heard()).toEqual(trouble)
})
