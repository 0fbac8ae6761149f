import { request } from 'node:http'
import { expect, test } from 'vitest'
import { createOktaEmulator } from '../../../emulator/okta/emulator.ts'

test.each([
  ['//', 404],
  ['//[', 404],
  ['/\\', 404],
  ['http://[/', 200],
  ['*', 200],
  ['/%', 404],
  ['/api/v1/users/%', 404],
  ['/oauth2/%zz/v1/authorize', 404],
  ['/control/state?a=//', 200],
])('%s is asked for, and the next request is answered all the same', async (path, status) => {
  const okta = await createOktaEmulator({})
  try {
    const { port } = okta.address
    const answered = new Promise((resolve, reject) => {
      const asked = request({ port, host: '127.0.0.1', path, agent: false }, (res) => resolve(res.resume().statusCode))
      asked.on('error', reject).end()
    })
    expect(await answered).toBe(status)
  } finally {
    await okta.close()
  }
})
