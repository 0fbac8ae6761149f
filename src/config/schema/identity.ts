import { z } from 'zod'
import { oneOf, text, textMap, texts } from './fields.ts'

/** Values that the whole configuration and each route write alike. */
export const claimHeaders = z.union([text, texts, textMap], { error: 'a list of claims, or a map of header to claim' })
export const groupsFilter = z.union([text, texts, z.strictObject({ groups: texts })], {
  error: 'a list of groups, or {groups: […]}',
})
export const groupsFormat = oneOf('ids', 'names', 'both')
/** Pomerium takes the last word alone, too. */
export const issuerFormat = oneOf('IssuerHostOnly', 'IssuerURI', 'hostOnly', 'uri')
