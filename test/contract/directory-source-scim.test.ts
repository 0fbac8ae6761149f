import { directorySourceContract } from './directory-source.ts'
import { scimWorld } from './scim-world.ts'

directorySourceContract('scim', scimWorld)
