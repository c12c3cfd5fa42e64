// The only importer of TypeBox: schemas and their compiled checks. The build bundles TypeBox's 700 files into one, because they
// take longer to load than the rest of the server.
export { default as Type, type Static, type TObject, type TSchema } from 'typebox';
export { Compile } from 'typebox/compile';
