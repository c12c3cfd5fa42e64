// The door of TypeBox: schemas, and their compiled checks. The build makes one file of it: TypeBox's own 700 take longer to load than the rest of the server.
export { default as Type, type Static, type TObject, type TSchema } from 'typebox';
export { Compile } from 'typebox/compile';
