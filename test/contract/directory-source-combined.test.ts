import { combineSources } from '../../src/directory/combine.ts'
import { createStaticSource } from '../../src/directory/static.ts'
import { directorySourceContract } from './directory-source.ts'
import { scimWorld } from './scim-world.ts'

directorySourceContract('a static file before scim', async () => {
  const scim = await scimWorld()
  const file = createStaticSource({ people: [{ id: 'somebody-else', groups: ['Engineering'] }], clock: scim.clock })
  return { ...scim, source: combineSources([file, scim.source]) }
})
