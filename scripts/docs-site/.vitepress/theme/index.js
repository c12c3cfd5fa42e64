// VitePress' own theme without its font, in the colors of the demo.
import Theme from 'vitepress/theme-without-fonts';
import './style.css';

export default Theme;
